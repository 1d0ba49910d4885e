-- How a barrier stands: OBJECT; its parties, how many wait, and whether it is broken.
contents(ARGV[2])
local found = call('HMGET', object_key(ARGV[2]), 'parties', 'count', 'broken', 'acting')
return { tonumber(found[1]) or 1, (found[3] or found[4]) and 0 or tonumber(found[2]) or 0, found[3] and 1 or 0 }
