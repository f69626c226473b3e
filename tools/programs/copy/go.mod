// v1.0.0: our own program, which needs no module but Go's.
module midwatch.dev/programs/copy

go 1.26
