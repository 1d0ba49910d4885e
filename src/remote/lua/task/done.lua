-- A chunk that was read is done: SESSION OBJECT TOKEN ENTRY INBOX OUTCOME. If it is somebody else's by now, or was withdrawn, or nobody is
-- there any more who wants the outcome, that is dropped. Again, nothing happens.
local session, object, token, id, inbox = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
require_session(session)
local stream, name = contents(object), session .. '/' .. token
if pending(stream, name) ~= id then
    return
end
if call('EXISTS', object_key(inbox)) == 1 and #call('XRANGE', stream, id, id) == 1 then
    call('RPUSH', object_key(inbox) .. ':d', ARGV[7])
    wake(inbox, 1)
end
call('XACK', stream, GROUP, id)
call('XDEL', stream, id)
call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
