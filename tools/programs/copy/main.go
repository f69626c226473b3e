// Command copy is the `cp -R SOURCE FOLDER` of the injection image that is made without Docker,
// whose published twin has busybox for it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 4 || os.Args[1] != "-R" {
		fail(fmt.Errorf("usage: cp -R SOURCE FOLDER; given: %q", os.Args[1:]))
	}
	source, folder := filepath.Clean(os.Args[2]), os.Args[3]
	target := filepath.Join(folder, filepath.Base(source))
	// A container that is started again finds the copy of the one before.
	if err := copyTree(source, target); err != nil {
		fail(err)
	}
}

func copyTree(source, target string) error {
	return filepath.WalkDir(source, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		place := target + strings.TrimPrefix(path, source)
		if entry.IsDir() {
			return os.MkdirAll(place, 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(place, content, 0o644)
	})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cp:", err)
	os.Exit(1)
}
