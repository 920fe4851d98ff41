-- Marks and outcomes of many connections, in order, each a compare-and-set on (state, token). Safe to repeat.
-- KEYS: c, suppressed. ARGV: base, the operations in one piece (msgpack: a word of its own for each of theirs costs both sides
-- more than all the rest), and the event of each outcome among them. An operation is
--   chunk, index, token, address                                                    the `sending` mark, or
--   chunk, index, token, address, letter, counted, due ms, suppression note         an outcome.
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

local now, deltas, answers, changed = now_ms(), {}, {}, false
local operations, events = cmsgpack.unpack(ARGV[2]), 2

-- Each chunk is read once and written once, however many operations are about it.
local parts = {}
for _, operation in ipairs(operations) do
  local n, index = operation[1], operation[2]
  local part = parts[n]
  if not part then
    part = {wanted = {}, values = {}, dirty = {}, events = {}}
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

for _, operation in ipairs(operations) do
  local n, index, token, address, into = unpack(operation, 1, 5)
  local part = parts[n]
  local value = part.values[index]
  local letter, held = sub(value, 1, 1), sub(value, 5)
  local answer, becomes, event = 0, nil, ''
  if not into then
    if held == token and letter == 'g' then
      answer = 1
    elseif held == token and letter == 'c' then
      if state ~= 'running' or lost then
        answer = -1
      elseif guarded and call('HEXISTS', suppressed, address) == 1 then
        answer = -2
      else
        becomes = 'g' .. sub(value, 2)
        moved(deltas, 'c', 'g')
        answer = 1
      end
    end
  else
    local counted, due, note = unpack(operation, 6, 8)
    events = events + 1
    if held == token and (letter == 'c' or letter == 'g') then
      local attempts, tail = sub(value, 2, 3), token
      if counted ~= 0 then
        attempts = string.format('%02x', math.min(255, tonumber(attempts, 16) + counted))
      end
      event = ARGV[events]
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
        tail = digits(due)
        call('ZADD', base .. 'due', 'LT', tail, n)
      end
      becomes = into .. attempts .. sub(value, 4, 4) .. tail
      -- What is lost stays lost with one entry more; only the first of all begins a list.
      if note ~= '' and redis.pcall('HSETNX', suppressed, address, note) == 1
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
      event = ARGV[events]
      answer = 2
    end
  end
  if becomes then
    part.values[index] = becomes
    part.dirty[index] = true
    changed = true
  end
  if event ~= '' then part.events[#part.events + 1] = event end
  answers[#answers + 1] = answer
end

for n, part in pairs(parts) do
  local fields = {}
  for index in pairs(part.dirty) do
    fields[#fields + 1] = index
    fields[#fields + 1] = part.values[index]
  end
  if #fields > 0 then call('HSET', base .. 's:' .. n, unpack(fields)) end
  if #part.events > 0 then call('APPEND', base .. 'o:' .. n, table.concat(part.events)) end
end
if changed then
  book(c, deltas)
  settle(c, now)
end
return answers
