-- Says that what a dead owner left is put right: SESSION OBJECT THREAD TOKEN; whether it is said by the owner.
require_session(ARGV[2])
local key, me = object_key(ARGV[3]), ARGV[2] .. '/' .. ARGV[4]
if call('HGET', key, 'owner') ~= me or not has_part(ARGV[3], me, ARGV[5]) then
    return 0
end
call('HDEL', key, 'dirty')
return 1
