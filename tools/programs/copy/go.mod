module midwatch.dev/programs/copy

go 1.26
