-- Give back what is left of one claim, whose owner is dead: claimed goes to queued (third crash: failed), sending to in doubt.
-- KEYS: c. ARGV: base, chunk, token, 1 or 0 (nobody crashed: the owner could not go on). Returns the number of recipients moved.
local c, base, n, token, crashed = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local s, o = base .. 's:' .. n, base .. 'o:' .. n
local now, deltas, count = now_ms(), {}, 0
local about = call('HMGET', c, 'state', 'cancelled_reason')
local all = call('HGETALL', s)
for i = 1, #all, 2 do
  local index, value = all[i], all[i + 1]
  local letter, tail = sub(value, 1, 1), sub(value, 5)
  if (letter == 'c' or letter == 'g') and tail == token then
    local crashes = math.min(9, tonumber(sub(value, 4, 4)) + (crashed and 1 or 0))
    local into, reason, text, phase, failure = 'q', 'worker_died', 'worker died before sending; given back', 'connect', 'local'
    if letter == 'g' then
      into, text, phase, failure = 'I', 'worker died while sending; not re-sent', 'body', 'unknown'
    elseif crashed and crashes >= 3 then
      into, reason, text, phase = 'F', 'poison', 'three workers died with this message', 'build'
    end
    if crashed or into ~= 'q' then
      local event = cmsgpack.pack({tonumber(index), into, now, reason, text, phase, failure})
      call('APPEND', o, struct.pack('>H', #event) .. event)
    end
    if into == 'q' and about[1] == 'cancelled' then
      into = 'X'
      call('APPEND', o, cancelled(index, now, about[2]))
    end
    call('HSET', s, index, into .. sub(value, 2, 3) .. crashes .. (into == 'q' and '' or tail))
    moved(deltas, letter, into)
    count = count + 1
  end
end
call('HDEL', base .. 'h', n .. ':' .. token)
if count > 0 then
  book(c, deltas)
  settle(c, now)
end
return count
