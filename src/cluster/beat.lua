-- A node is there; who else is; and whether the engine gives anything yet.
-- KEYS: the nodes
local me, node, settle_ms, silent_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local FORGOTTEN_MS = 600000

local settling, run = settles(KEYS[1], settle_ms)
redis.call('HSET', KEYS[1], 'n:' .. me, now .. ':' .. node)
local live, count, fields = {}, 0, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local process = string.match(fields[i], '^n:(.*)')
    if process then
        local seen, of = string.match(fields[i + 1], '^(%d+):(.*)')
        if now - tonumber(seen) < silent_ms then
            if not live[of] then live[of], count = true, count + 1 end
        elseif now - tonumber(seen) > FORGOTTEN_MS then
            redis.call('HDEL', KEYS[1], fields[i], 's:' .. process, 't:' .. process)
        end
    end
end
redis.call('HSET', KEYS[1], 'live', count)
return {now, count, settling and 0 or 1, run}
