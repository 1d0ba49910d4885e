-- A message that was read, if one was, is given back: SESSION OBJECT TOKEN. With a fourth argument, its reader does not know it, and so
-- does not hold what it refers to. Again, nothing happens. If the session has ended, others have seen to it, or will.
local session, object, token = ARGV[2], ARGV[3], ARGV[4]
require_session(session)
local stream, name = contents(object), session .. '/' .. token
local id = pending(stream, name)
if not id then
    return
end
local entry = call('XCLAIM', stream, GROUP, BACK, 0, id)[1]
call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
if entry and ARGV[5] then
    for index in ipairs(references(entry[2][2])) do
        let_go(session, token .. '.' .. index)
    end
end
wake(object, 1, GETTERS)
