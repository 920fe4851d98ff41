-- A worker has put back what it remembers; claims are given as soon as all that live have. Safe to repeat.
-- KEYS: gate, replayed, workers. ARGV: owner, lease ms, ms to wait for those whose first beat was forgotten, the start it was
--   done for, the server's machine and folder ('' where that is not known)
-- Returns 0 when claims are given, else how many workers are still waited for; -1 stands for those nobody has heard of yet,
-- -2 for this worker itself: this is another start of the server, or a ledger that has not heard of it (it may be emptied).
local gate, replayed, owner, lease = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local run, now = run_id(), now_ms()
local v = call('HMGET', gate, 'run', 'seen', 'since', 'born')
if run ~= ARGV[4] or not call('ZSCORE', KEYS[3], owner) then return -2 end
if v[1] == run then return 0 end
local function open()
  call('HSET', gate, 'run', run)
  if ARGV[5] ~= '' then call('HSET', gate, 'machine', ARGV[5]) end
  if ARGV[6] ~= '' then call('HSET', gate, 'folder', ARGV[6]) end
end
-- Where the gate was never opened since the ledger began, in an earlier start, that may be what the server forgot.
if not v[1] and v[4] == run then
  open()
  return 0
end
call('HSET', replayed, owner, run)
local since = tonumber(v[3])
if v[2] ~= run then
  since = now
  call('HSET', gate, 'seen', run, 'since', digits(since))
end
local waiting = 0
local workers = call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
for i = 1, #workers, 2 do
  -- While the server was away nobody could beat: the lease of all begins anew.
  local beat = math.max(tonumber(workers[i + 1]), since)
  if beat >= now - lease and call('HGET', replayed, workers[i]) ~= run then waiting = waiting + 1 end
end
if waiting > 0 then return waiting end
-- The first beat of some worker may be among what the server forgot.
if now < since + tonumber(ARGV[3]) then return -1 end
open()
call('HDEL', gate, 'seen', 'since')
call('DEL', replayed)
return 0
