/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fuzz target without a fuzzer: it gets every file of its corpus (CORPUS, a folder of tests/fuzz/corpus), or those
 * that are named on the command line. What was once found stays tested wherever there is a C compiler. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t length);

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	size_t length = 0, capacity = 0;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (!feof(file) && !ferror(file)) {
		uint8_t *grown = realloc(bytes, capacity += 65536);
		if (!grown)
			abort();
		bytes = grown;
		length += fread(bytes + length, 1, capacity - length, file);
	}
	if (ferror(file)) {
		fprintf(stderr, "%s: can't be read\n", path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	/* Just as long as it is, so that reading beyond its end is seen. */
	uint8_t *exact = malloc(length ? length : 1);
	if (!exact)
		abort();
	memcpy(exact, bytes, length);
	printf("%s\n", path);
	fflush(stdout);
	fuzz_one(exact, length);
	free(exact);
	free(bytes);
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *top = getenv("srcdir");
	char folder[1024], path[2048];
	struct dirent **entries;
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	if (argc > 1)
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;

	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/" CORPUS, top ? top : ".");
	int count = scandir(folder, &entries, is_visible, alphasort);
	if (count <= 0) {
		fprintf(stderr, "%s: no corpus\n", folder);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		failed |= replay(path);
		free(entries[i]);
	}
	free(entries);
	printf("%d files\n", count);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
