-- Give back what is left of one claim, whose owner is dead: claimed goes to queued (third crash: failed), sending to in
-- doubt, and from there to queued again where the campaign wants that.
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
    local is_poison = crashed and crashes >= 3
    local into, reason, text, phase, failure = 'q', 'worker_died', 'worker died before sending; given back', 'connect', 'local'
    local again = letter == 'g' and not is_poison and is_sent_again(c, o, index)
    if letter == 'g' then
      into, text, phase, failure = 'I', 'worker died while sending', 'body', 'unknown'
      if not again then text = text .. '; not re-sent' end
    elseif is_poison then
      into, reason, text, phase = 'F', 'poison', 'three workers died with this message', 'build'
    end
    local attempts, begun = sub(value, 2, 3), cjson.null
    if letter == 'g' then
      -- A body was on its way: that was an attempt, and it began with the claim at the earliest.
      attempts = string.format('%02x', math.min(255, tonumber(attempts, 16) + 1))
      begun = tonumber(call('HGET', base .. 'h', n .. ':' .. token)) or cjson.null
    end
    if crashed or into ~= 'q' then
      local none = cjson.null
      local event = cmsgpack.pack({tonumber(index), into, now, reason, text, phase, failure, none, none, begun})
      call('APPEND', o, struct.pack('>H', #event) .. event)
    end
    if again then
      into = 'q'
      call('APPEND', o, sent_again(index, now))
    elseif into == 'q' and about[1] == 'cancelled' then
      into = 'X'
      call('APPEND', o, cancelled(index, now, about[2]))
    end
    call('HSET', s, index, into .. attempts .. crashes .. (into == 'q' and '' or tail))
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
