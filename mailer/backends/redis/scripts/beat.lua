-- A worker is alive. KEYS: workers, worker details. ARGV: owner, details. Returns Redis time in ms.
local now = digits(now_ms())
call('ZADD', KEYS[1], now, ARGV[1])
call('HSET', KEYS[2], ARGV[1], ARGV[2])
return now
