-- How a barrier stands: OBJECT; its parties, how many wait, whether it is broken, and which generation it is.
contents(ARGV[2])
local found = call('HMGET', object_key(ARGV[2]), 'parties', 'count', 'broken', 'acting', 'turn')
return { tonumber(found[1]) or 1, (found[3] or found[4]) and 0 or tonumber(found[2]) or 0, found[3] and 1 or 0, tonumber(found[5]) or 0 }
