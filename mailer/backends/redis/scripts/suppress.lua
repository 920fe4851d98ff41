-- Put addresses on the do-not-send list. KEYS: suppressed. ARGV: whole ('1' when the operator's list is complete with this,
-- '' otherwise), then key, note of each. Returns how many are new.
-- From the first entry on the list has the field '', which nobody removes, and the key `:kept` says that there is a list:
-- one that has lost the field is lost, and only a whole list of the operator's puts it back.
local suppressed, kept = KEYS[1], KEYS[1] .. ':kept'
local kind = call('TYPE', suppressed).ok
-- What somebody has planted there must not keep the operator from mending it.
if kind ~= 'hash' and kind ~= 'none' then call('DEL', suppressed) end
local added = 0
for i = 2, #ARGV, 2 do added = added + call('HSETNX', suppressed, ARGV[i], ARGV[i + 1]) end
if call('SETNX', kept, '1') == 1 or ARGV[1] == '1' then call('HSET', suppressed, '', '') end
return added
