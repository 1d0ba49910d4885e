-- How many permits are free, those of the dead among them, and how many there may be: OBJECT.
contents(ARGV[2])
take_back(ARGV[2], tick())
return { number(ARGV[2], 'free'), number(ARGV[2], 'max') }
