-- Whether somebody still waits: OBJECT WAITER. It does not if it is notified; nor if it counted as dead, since nobody knows then what it has missed.
contents(ARGV[2])
pass_on(ARGV[2], tick())
return is_in_line(ARGV[2], ARGV[3]) and 1 or 0
