-- Which turns of so many a second a node is given. Turn K comes K / LIMIT seconds after SINCE, by the engine's clock, and is given out once.
-- KEYS: the bucket, the nodes
local me, node, seq, limit, queue = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local calls, ahead, holds, left, last = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1', tonumber(ARGV[9]), tonumber(ARGV[10])
local back, kept_ms, settle_ms = ARGV[11], ARGV[12], tonumber(ARGV[13])
local GRANTED, DRY, RECALLING, SETTLING, STALE, LAST, NOTED = 0, 1, 2, 3, 4, 5, 6
local SINCE_S, MARKED_MS, MOST_PARTS = 1600000000, 300, 64

local present = (time[1] - SINCE_S) * limit + math.floor(time[2] * limit / 1000000)
local settling = settles(KEYS[2], settle_ms)
local known = redis.call('HMGET', KEYS[2], 't:' .. me, 'live')
if seq <= tonumber(known[1] or 0) then return {STALE, 0} end
redis.call('HSET', KEYS[2], 't:' .. me, seq, 'n:' .. me, now .. ':' .. node)

local c, fields = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do c[fields[i]] = fields[i + 1] end
-- The last turn that was given out. Of those that have come, as many are there as come in a second.
local given, of_limit, parts = tonumber(c.w or present - limit), tonumber(c.l or limit), {}
if of_limit == limit then
    for first, n in string.gmatch((c.f or '') .. ' ' .. back, '(%d+):(%d+)') do parts[#parts + 1] = {tonumber(first), tonumber(n)} end
else -- it goes on at the same time
    local seconds = math.floor(given / of_limit)
    given = seconds * limit + math.ceil((given - seconds * of_limit) * limit / of_limit)
end
table.sort(parts, function(a, b) return a[1] < b[1] end)
local last_part = #parts > 0 and parts[#parts][1] + parts[#parts][2] - 1 or 0
given = math.max(given - left, last_part, present - limit, last)
local joined = true
while joined do
    joined = #parts > 0 and parts[#parts][1] + parts[#parts][2] - 1 == given
    if joined then given = table.remove(parts)[1] - 1 end
end

local granted, count = {GRANTED, 0}, 0
local function give(first, n)
    count = count + n
    if #granted > 2 and granted[#granted - 1] + granted[#granted] == first then
        granted[#granted] = granted[#granted] + n
    else
        granted[#granted + 1], granted[#granted + 2] = first, n
    end
end
-- Those that came back first. What is too old for a bucket to hold is gone.
local rest = {}
local function take(n, most)
    rest = {}
    for _, part in ipairs(parts) do
        local first, past = math.max(part[1], present - limit + 1), part[1] + part[2]
        local units = math.max(0, math.min(past - first, n, most - first + 1))
        if units > 0 then
            give(first, units)
            n = n - units
        end
        if past > first + units then rest[#rest + 1] = {first + units, past - first - units} end
    end
    parts = rest
    local units = math.max(0, math.min(n, most - given))
    if units > 0 then
        give(given + 1, units)
        given = given + units
    end
end

local status = NOTED
if settling then
    status = SETTLING
elseif calls + ahead > 0 then
    take(calls, present + queue)
    local plenty = math.max(0, present - given)
    for _, part in ipairs(parts) do plenty = plenty + math.max(0, math.min(part[1] + part[2] - 1, present) - math.max(part[1], present - limit + 1) + 1) end
    take(math.min(ahead, math.floor(plenty / (2 * math.max(1, tonumber(known[2] or 1))))), present)
    local others = false
    for field, marked in pairs(c) do
        local other = string.match(field, '^u:(.*)')
        others = others or (other and other ~= me and now - tonumber(marked) < MARKED_MS)
    end
    if count >= calls or (count > 0 and others) then
        if count > 0 then status = GRANTED end
    elseif count > 0 then
        status = LAST
    else
        status = others and RECALLING or DRY
    end
end
local text = {}
for i = math.max(1, #parts - MOST_PARTS + 1), #parts do text[#text + 1] = string.format('%.0f:%.0f', parts[i][1], parts[i][2]) end
redis.call('HSET', KEYS[1], 'w', string.format('%.0f', given), 'l', limit, 'f', table.concat(text, ' '))
if count > 0 or holds then redis.call('HSET', KEYS[1], 'u:' .. me, now) else redis.call('HDEL', KEYS[1], 'u:' .. me) end
redis.call('PEXPIRE', KEYS[1], kept_ms)
granted[1], granted[2] = status, math.max(0, present - given)
return granted
