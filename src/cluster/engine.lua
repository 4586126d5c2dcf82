-- What the scripts that give something begin with: the engine's clock, and whether it has settled.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- An engine that was started anew, or was a replica, may have forgotten: nodes tell what they have before it gives anything.
local function settles(nodes, settle_ms)
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    local known = redis.call('HMGET', nodes, 'run', 'since')
    local since = tonumber(known[2] or 0)
    if known[1] ~= run then
        since = now
        redis.call('HSET', nodes, 'run', run, 'since', now)
    end
    return now < since + settle_ms, run
end

