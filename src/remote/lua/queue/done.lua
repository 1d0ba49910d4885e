-- A message that was read is done, or, with a fourth argument, got: SESSION OBJECT TOKEN GOT. Again, nothing happens (Q2).
local session, object, token = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
local stream, name = contents(object), session .. '/' .. token
local id = pending(stream, name)
if not id then
    return
end
local entry = call('XRANGE', stream, id, id)[1]
call('XACK', stream, GROUP, id)
call('XDEL', stream, id)
call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
if ARGV[5] then
    count_got(object, session)
end
if entry then
    release(entry[2][2])
end
after_leaving(object, stream)
