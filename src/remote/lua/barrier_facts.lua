-- How a barrier stands: OBJECT; its parties, its timeout, how many wait, and by what it is broken.
contents(ARGV[2])
local found = call('HMGET', object_key(ARGV[2]), 'parties', 'timeout', 'count', 'broken', 'acting')
return { tonumber(found[1]) or 1, found[2] or '0', (found[4] or found[5]) and 0 or tonumber(found[3]) or 0, found[4] }
