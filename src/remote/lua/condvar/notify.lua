-- Notifies some: SESSION OBJECT TOKEN COUNT TIME LAST, where all but the last came before; how many, whether there may be more, and the last.
local session, object, name = ARGV[2], ARGV[3], ARGV[2] .. '/' .. ARGV[4]
require_session(session)
contents(object)
local known = recall(object, name)
if not known then
    local at, last = tick(), ARGV[7] or call('HGET', object_key(object), 'line') or '0'
    local count, is_more = notify(object, tonumber(ARGV[5]), last, at)
    known = string.format('%d %d %s', count, is_more and 1 or 0, last)
    if count > 0 then
        remember(object, name, known, at, ARGV[6])
    end
end
local count, is_more, last = string.match(known, '^(%d+) (%d) (.*)$')
return { tonumber(count), tonumber(is_more), last }
