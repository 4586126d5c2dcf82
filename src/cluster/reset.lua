-- Begins a counter anew in one window, at every node.
-- KEYS: the counter, the calls to give back
local id, window, kept_ms = ARGV[1], ARGV[2], ARGV[3]
local times = tonumber(redis.call('HGET', KEYS[1], 'z') or 0) + 1
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'g', 0, 'z', times)
redis.call('PEXPIRE', KEYS[1], kept_ms)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'i', id, 'w', window, 'z', times)
return times
