-- Gives a lock back for a while, all its levels: SESSION OBJECT THREAD TOKEN; whether they were there.
require_session(ARGV[2])
return lend(ARGV[2], ARGV[3], ARGV[4], ARGV[5]) and 1 or 0
