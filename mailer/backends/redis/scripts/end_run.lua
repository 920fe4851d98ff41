-- A worker is done with a claim: nobody holds it any more; what is queued gets a new generation, or rests.
-- KEYS: c. ARGV: base, chunk, token, rest ms. Returns the generation to hand in as a job, or -1.
local c, base, n = KEYS[1], ARGV[1], ARGV[2]
local queued, due, held = 0, nil, false
local values = call('HVALS', base .. 's:' .. n)
for _, value in ipairs(values) do
  local letter = sub(value, 1, 1)
  if letter == 'q' then
    queued = queued + 1
  elseif letter == 'd' then
    local at = tonumber(sub(value, 5))
    if not due or at < due then due = at end
  elseif (letter == 'c' or letter == 'g') and sub(value, 5) == ARGV[3] then
    held = true
  end
end
-- Whoever has no outcome after all stays with this claim, for the reconciler to find when its owner is gone.
if not held then call('HDEL', base .. 'h', n .. ':' .. ARGV[3]) end
local rest = tonumber(ARGV[4])
if queued > 0 and rest > 0 then
  local at = now_ms() + rest
  if not due or at < due then due = at end
end
if due then call('ZADD', base .. 'due', digits(due), n) end
if queued > 0 and rest == 0 and call('HGET', c, 'state') == 'running' and call('ZSCORE', base .. 'open', n) then
  return tonumber(call('ZINCRBY', base .. 'open', 1, n))
end
return -1
