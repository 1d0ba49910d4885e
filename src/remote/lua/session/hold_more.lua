-- A session that has not ended holds more: SESSION, TOKEN OBJECT .. What is no more is left out.
local session = ARGV[2]
require_session(session)
for index = 3, #ARGV, 2 do
    if call('EXISTS', object_key(ARGV[index + 1])) == 1 then
        hold_object(session, ARGV[index], ARGV[index + 1])
    end
end
