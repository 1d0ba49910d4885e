-- Puts chunks behind the others: SESSION OBJECT INBOX BATCH CHUNK ..; the entries' names. Again under this BATCH, if there was none since,
-- nothing happens.
local session, object, inbox, batch = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
tick()
contents(inbox)
local stream, key = contents(object), object_key(inbox)
local known = call('HMGET', key, 'batch', 'entries')
if known[1] == batch then
    return known[2]
end
local entries = {}
for index = 6, #ARGV do
    entries[#entries + 1] = call('XADD', stream, '*', 'i', inbox, 'v', ARGV[index])
end
call('HSET', key, 'batch', batch, 'entries', table.concat(entries, ' '))
wake(object, #entries, GETTERS)
return table.concat(entries, ' ')
