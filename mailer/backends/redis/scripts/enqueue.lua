-- Hand in jobs of one campaign. Each stands one turn behind the last one of its campaign, and behind the job that is next
-- in its priority: so campaigns of equal priority take turns, whatever each of them has waiting already. A job that waits
-- or runs is left where it is.
-- KEYS: queue, turns. ARGV: campaign, lowest and highest score of its priority, seconds arq keeps a job, what the keys of
--   arq's jobs and locks begin with, then id and job...
local queue, turns, campaign, low = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local jobs, locks = ARGV[5], ARGV[6]
-- Nobody waits for anybody: what has been is over.
if call('EXISTS', queue) == 0 then call('DEL', turns) end

-- Jobs that run stay in the queue. One that runs for long must not hold back the time for all.
local turn
local first = call('ZRANGEBYSCORE', queue, ARGV[2], ARGV[3], 'WITHSCORES', 'LIMIT', 0, 100)
for i = 1, #first, 2 do
  if call('EXISTS', locks .. first[i]) == 0 then
    turn = tonumber(first[i + 1])
    break
  end
end
-- All that was handed in is under way, or done.
local top = tonumber(call('HGET', turns, 'p:' .. ARGV[2])) or low
turn = math.max(turn or top, tonumber(call('HGET', turns, campaign)) or low)
for i = 7, #ARGV, 2 do
  local id = ARGV[i]
  call('SET', jobs .. id, ARGV[i + 1], 'NX', 'EX', ARGV[4])
  if not call('ZSCORE', queue, id) then
    turn = turn + 1
    call('ZADD', queue, digits(turn), id)
  end
end
call('HSET', turns, campaign, digits(turn), 'p:' .. ARGV[2], digits(math.max(top, turn)))
return 1
