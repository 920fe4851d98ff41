-- What is queued or deferred in one chunk of a cancelled campaign becomes cancelled; what is in flight finishes.
-- KEYS: c. ARGV: base, chunk. Returns the number of recipients moved.
local c, base, n = KEYS[1], ARGV[1], ARGV[2]
local about = call('HMGET', c, 'state', 'cancelled_reason')
if about[1] ~= 'cancelled' then return 0 end
local s, now = base .. 's:' .. n, now_ms()
local all, deltas, count = call('HGETALL', s), {}, 0
for i = 1, #all, 2 do
  local value = all[i + 1]
  local letter = sub(value, 1, 1)
  if letter == 'q' or letter == 'd' then
    call('HSET', s, all[i], 'X' .. sub(value, 2, 4))
    call('APPEND', base .. 'o:' .. n, cancelled(all[i], now, about[2]))
    moved(deltas, letter, 'X')
    count = count + 1
  end
end
call('ZREM', base .. 'due', n)
if count > 0 then
  book(c, deltas)
  settle(c, now)
end
return count
