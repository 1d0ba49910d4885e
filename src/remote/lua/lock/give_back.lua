-- Gives a level of a lock back: SESSION OBJECT THREAD TOKEN; whether it was still there.
require_session(ARGV[2])
return give(ARGV[2], ARGV[3], ARGV[4], ARGV[5]) and 1 or 0
