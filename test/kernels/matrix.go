package main
var everySeries []string
func matrix([]string) error { return nil }
