-- A worker ends in an orderly way: it is not among the living any more, and leads nobody.
-- KEYS: workers, worker details, leader. ARGV: owner
call('ZREM', KEYS[1], ARGV[1])
call('HDEL', KEYS[2], ARGV[1])
if call('GET', KEYS[3]) == ARGV[1] then call('DEL', KEYS[3]) end
return 1
