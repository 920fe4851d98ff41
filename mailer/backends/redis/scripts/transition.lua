-- Marks and outcomes of many connections, in order, each a compare-and-set on (state, token). Safe to repeat.
-- KEYS: c, suppressed. ARGV: base, the operations in one piece, and the event of each outcome among them. The piece is a list
-- of columns (msgpack: a word of its own for each of theirs, or a table for each of them, costs more than all the rest):
--   chunk, index, token, address, letter; 'g' is the `sending` mark, any other an outcome, and of outcomes alone
--   counted, due ms, suppression note
-- The index is a string, as it is in s:n: to print a number takes longer than to look it up.
-- An outcome in doubt is queued again where the campaign wants that.
-- Answers: mark 1 won, 0 somebody else's, -1 not running or without its list (`listed.lua`), -2 suppressed; outcome 1
--   applied, 2 late, 0 somebody else's
local c, suppressed, base = KEYS[1], KEYS[2], ARGV[1]
local state = call('HGET', c, 'state')
if not state then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
-- Without the list that was kept nobody may be sent to. Outcomes are recorded all the same.
local guarded, kept, lost = call('EXISTS', suppressed) == 1, suppressed .. ':kept', false
if guarded then
  local whole = redis.pcall('HEXISTS', suppressed, '')
  lost = whole ~= 1 and (whole ~= 0 or call('EXISTS', kept) == 1)
else
  lost = call('EXISTS', kept) == 1
end

-- Whether a packed recipient is in doubt since this claim: `packing.py` puts the tokens of such claims in front of f:n.
local function is_doubt_of(f, index, token)
  local head = call('GETRANGE', f, 0, 7)
  if #head < 8 then return false end
  local magic, length = struct.unpack('<I4I4', head)
  return magic == 0x184D2A50 and cmsgpack.unpack(call('GETRANGE', f, 8, 7 + length))[tonumber(index)] == token
end

local now, deltas, answers, attempted = now_ms(), {}, {}, {}
local columns, outcomes = cmsgpack.unpack(ARGV[2]), 0
local chunks, indices, tokens, addresses, letters = unpack(columns, 1, 5)
local counted, dues, notes = unpack(columns, 6, 8)

-- Each chunk is read once and written once, however many operations are about it.
local parts = {}
for k = 1, #chunks do
  local n, index = chunks[k], indices[k]
  local part = parts[n]
  if not part then
    part = {wanted = {}, values = {}, fields = {}, events = {}}
    parts[n] = part
  end
  if not part.values[index] then
    part.values[index] = ''
    part.wanted[#part.wanted + 1] = index
  end
end
for n, part in pairs(parts) do
  local values = call('HMGET', base .. 's:' .. n, unpack(part.wanted))
  for k, index in ipairs(part.wanted) do part.values[index] = values[k] or '' end
end

for k = 1, #chunks do
  local n, index, token, into = chunks[k], indices[k], tokens[k], letters[k]
  local part = parts[n]
  local value = part.values[index]
  local letter, held = sub(value, 1, 1), sub(value, 5)
  local answer, becomes, event = 0, nil, nil
  if into == 'g' then
    if held == token and letter == 'g' then
      answer = 1
    elseif held == token and letter == 'c' then
      if state ~= 'running' or lost then
        answer = -1
      elseif guarded and call('HEXISTS', suppressed, addresses[k]) == 1 then
        answer = -2
      else
        becomes = 'g' .. sub(value, 2)
        moved(deltas, 'c', 'g')
        answer = 1
      end
    end
  else
    outcomes = outcomes + 1
    if held == token and (letter == 'c' or letter == 'g') then
      local attempts, tail = sub(value, 2, 3), token
      if counted[outcomes] ~= 0 then
        local more = attempted[attempts]
        if not more then
          more = string.format('%02x', math.min(255, tonumber(attempts, 16) + 1))
          attempted[attempts] = more
        end
        attempts = more
      end
      event = ARGV[2 + outcomes]
      if into == 'I' and is_sent_again(c, base .. 'o:' .. n, index) then
        event = event .. sent_again(index, now)
        into, tail = 'q', ''
      elseif state == 'cancelled' and (into == 'q' or into == 'd') then
        -- It comes back from a worker after the operator's `cancel`: it waits for nothing any more.
        event = event .. cancelled(index, now, call('HGET', c, 'cancelled_reason'))
        into = 'X'
      elseif into == 'q' then
        tail = ''
      elseif into == 'd' then
        tail = digits(dues[outcomes])
        call('ZADD', base .. 'due', 'LT', tail, n)
      end
      becomes = into .. attempts .. sub(value, 4, 4) .. tail
      -- What is lost stays lost with one entry more; only the first of all begins a list.
      local note = notes[outcomes]
      if note ~= '' and redis.pcall('HSETNX', suppressed, addresses[k], note) == 1
          and call('SETNX', kept, '1') == 1 then
        call('HSET', suppressed, '', '')
      end
      moved(deltas, letter, into)
      answer = 1
    elseif held == token and (letter == into or letter == 'X') then
      answer = 1
    elseif (held == token and letter == 'I')
        or (value == '' and into ~= 'I' and is_doubt_of(base .. 'f:' .. n, index, token)) then
      -- The lease was over before the owner came back: his reply is kept beside the record and changes no state.
      -- Of a packed recipient it waits in o:n for the packer, who comes at the end of the run.
      event = ARGV[2 + outcomes]
      answer = 2
    end
  end
  if becomes then
    part.values[index] = becomes
    part.fields[#part.fields + 1] = index
    part.fields[#part.fields + 1] = becomes
  end
  if event and event ~= '' then part.events[#part.events + 1] = event end
  answers[k] = answer
end

for n, part in pairs(parts) do
  if #part.fields > 0 then call('HSET', base .. 's:' .. n, unpack(part.fields)) end
  if #part.events > 0 then call('APPEND', base .. 'o:' .. n, table.concat(part.events)) end
end
if next(deltas) then
  book(c, deltas)
  settle(c, now)
end
return answers
