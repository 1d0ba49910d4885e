-- Gives up what was perhaps granted, and perhaps will be: SESSION OBJECT THREAD TOKEN.
require_session(ARGV[2])
local session, object, thread, token = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if call('EXISTS', object_key(object)) == 1 then
    local me = session .. '/' .. thread
    if has_part(object, me, token) then
        give(session, object, thread, token)
    else
        renounce(object, me, token)
    end
end
