-- Somebody's time is up: OBJECT WAITER; whether it was notified in time.
contents(ARGV[2])
leave_line(ARGV[2], ARGV[3])
return is_notified(ARGV[2], ARGV[3]) and 1 or 0
