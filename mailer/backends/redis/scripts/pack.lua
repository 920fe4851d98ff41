-- Replace what is final in a chunk by its packed form, unless an outcome was written, or a recipient taken back by the
-- operator, since it was read. KEYS: c. ARGV: base, chunk, sha1 of o:n and of f:n as read (joined by :), final,
-- kept frames, messages, addresses, outcomes, how many words about attached files, these (file and what the chunk has of it
-- from now on), packed indices...
local c, base, n = KEYS[1], ARGV[1], ARGV[2]
local s, o, m = base .. 's:' .. n, base .. 'o:' .. n, base .. 'm:' .. n
if digest(o) .. ':' .. digest(base .. 'f:' .. n) ~= ARGV[3] then return 0 end
local before = call('STRLEN', m)
call('SET', base .. 'f:' .. n, ARGV[4])
if ARGV[5] ~= '' then call('SET', base .. 'k:' .. n, ARGV[5]) end
local files = tonumber(ARGV[9])
if #ARGV > 9 + files then call('HDEL', s, unpack(ARGV, 10 + files)) end
if call('EXISTS', s) == 0 then
  call('DEL', m, base .. 'a:' .. n, o)
  call('ZREM', base .. 'open', n)
  call('ZREM', base .. 'due', n)
else
  call('SET', m, ARGV[6])
  call('SET', base .. 'a:' .. n, ARGV[7])
  if ARGV[8] ~= '' then call('SET', o, ARGV[8]) else call('DEL', o) end
end
call('HINCRBY', c, 'bytes', call('STRLEN', m) - before)
for i = 10, 9 + files, 2 do mention(c, base, n, ARGV[i], ARGV[i + 1]) end
return 1
