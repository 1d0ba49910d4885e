-- Takes a lock: SESSION OBJECT THREAD TOKEN, 1 if once at most, WAITER.
require_session(ARGV[2])
return take(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1', ARGV[7])
