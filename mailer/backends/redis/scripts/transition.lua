-- Marks and outcomes of many connections, in order, each a compare-and-set on (state, token). Safe to repeat.
-- KEYS: c, suppressed. ARGV: base, then per operation:
--   'm', chunk, index, token, address                                  the `sending` mark
--   'o', chunk, index, token, letter, counted, due ms, event, address, suppression note     an outcome
-- Answers: mark 1 won, 0 somebody else's, -1 not running, -2 suppressed; outcome 1 applied, 2 late, 0 somebody else's
local c, suppressed, base = KEYS[1], KEYS[2], ARGV[1]
local state = call('HGET', c, 'state')
if not state then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
local guarded = call('EXISTS', suppressed) == 1
local now, deltas, answers, changed = now_ms(), {}, {}, false
local i, last = 2, #ARGV
while i <= last do
  local n, index, token = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local s = base .. 's:' .. n
  local value = call('HGET', s, index) or ''
  local letter, held = sub(value, 1, 1), sub(value, 5)
  local answer = 0
  if ARGV[i] == 'm' then
    if held == token and letter == 'g' then
      answer = 1
    elseif held == token and letter == 'c' then
      if state ~= 'running' then
        answer = -1
      elseif guarded and call('HEXISTS', suppressed, ARGV[i + 4]) == 1 then
        answer = -2
      else
        call('HSET', s, index, 'g' .. sub(value, 2))
        moved(deltas, 'c', 'g')
        changed, answer = true, 1
      end
    end
    i = i + 5
  else
    local into, event = ARGV[i + 4], ARGV[i + 7]
    if held == token and (letter == 'c' or letter == 'g') then
      local attempts = math.min(255, tonumber(sub(value, 2, 3), 16) + tonumber(ARGV[i + 5]))
      local tail = token
      if state == 'cancelled' and (into == 'q' or into == 'd') then
        -- It comes back from a worker after the operator's `cancel`: it waits for nothing any more.
        event = event .. cancelled(index, now, call('HGET', c, 'cancelled_reason'))
        into = 'X'
      elseif into == 'q' then
        tail = ''
      elseif into == 'd' then
        tail = ARGV[i + 6]
        call('ZADD', base .. 'due', 'LT', tail, n)
      end
      call('HSET', s, index, into .. string.format('%02x', attempts) .. sub(value, 4, 4) .. tail)
      if event ~= '' then call('APPEND', base .. 'o:' .. n, event) end
      if ARGV[i + 9] ~= '' then call('HSETNX', suppressed, ARGV[i + 8], ARGV[i + 9]) end
      moved(deltas, letter, into)
      changed, answer = true, 1
    elseif held == token and (letter == into or letter == 'X') then
      answer = 1
    elseif held == token and letter == 'I' then
      -- The lease was over before the owner came back: his reply is kept beside the record and changes no state.
      if event ~= '' then call('APPEND', base .. 'o:' .. n, event) end
      answer = 2
    end
    i = i + 10
  end
  answers[#answers + 1] = answer
end
if changed then
  book(c, deltas)
  settle(c, now)
end
return answers
