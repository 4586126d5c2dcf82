-- A node's account of one counter in one window, and what it is given. All times are the engine's.
-- KEYS: the counter, the nodes, the calls to give back
local me, node, seq, wanted, limit, have, allowed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]),
    tonumber(ARGV[6]), tonumber(ARGV[7])
local empty, urgent, resets, kept_ms, id, window = ARGV[8] == '1', ARGV[9] == '1', tonumber(ARGV[10]), ARGV[11], ARGV[12], ARGV[13]
local settle_ms, silent_ms = tonumber(ARGV[14]), tonumber(ARGV[15])
local GRANTED, DRY, RECALLING, SETTLING, STALE, RESET, NOTED = 0, 1, 2, 3, 4, 5, 6

local settling = settles(KEYS[2], settle_ms)
local known = redis.call('HMGET', KEYS[2], 'live', 's:' .. me)
if seq <= tonumber(known[2] or 0) then return {STALE, now, 0, 0} end
redis.call('HSET', KEYS[2], 's:' .. me, seq, 'n:' .. me, now .. ':' .. node)

local c, fields = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do c[fields[i]] = fields[i + 1] end
local times = tonumber(c.z or 0)
if resets < times then return {RESET, now, 0, times} end
local given, of_node, mine = tonumber(c.g or 0), tonumber(c['a:' .. node] or 0), tonumber(c['m:' .. me] or have)
if mine > have then -- given back, or an answer that was lost
    given = math.max(0, given - (mine - have))
    of_node = math.max(0, of_node - (mine - have))
end
if allowed > of_node then -- forgotten, or counted without the engine
    given, of_node = given + allowed - of_node, allowed
end

local status, units, called = NOTED, 0, tonumber(c.r or 0)
if settling then
    status = SETTLING
elseif wanted > 0 then
    local left = limit - given
    if left > 0 then
        local live = math.max(1, tonumber(known[1] or 1))
        units = math.min(left, wanted, math.max(1, math.floor(left / (2 * live))))
        status = GRANTED
    elseif urgent then
        local others = false
        for field in pairs(c) do
            local other = string.match(field, '^u:(.*)')
            if other and other ~= me then
                local seen = redis.call('HGET', KEYS[2], 'n:' .. other)
                others = others or (seen and now - tonumber(string.match(seen, '^%d+')) < silent_ms)
            end
        end
        if others or not empty then status = RECALLING else status = DRY end
        if others and now - called >= 2 then
            called = now
            redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'i', id, 'w', window, 'm', me)
        end
    end
end
redis.call('HSET', KEYS[1], 'g', given + units, 'a:' .. node, of_node + units, 'm:' .. me, have + units, 'z', resets, 'r', called)
if units > 0 or not empty then redis.call('HSET', KEYS[1], 'u:' .. me, 1) else redis.call('HDEL', KEYS[1], 'u:' .. me) end
redis.call('PEXPIRE', KEYS[1], kept_ms)
return {status, now, units, times, given - of_node}
