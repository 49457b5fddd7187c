/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of who used what, as a worn disk may give it back. Each line of the input gets its right checksum unless
 * it ends in '!', or no input would come further than that. What was read and is written reads as the same again. */
#include "../../daemon/core/record_text.c"

int fuzz_one(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static char *with_checksums(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	must(file != NULL);
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t count = end ? (size_t)(end - data) : size;
		bool raw = count > 0 && data[count - 1] == '!';
		fwrite(data, 1, raw ? count - 1 : count, file);
		if (!raw)
			fprintf(file, " %016" PRIx64, hash_bytes(HASH_START, data, count));
		fputc('\n', file);
		data += count + (end != NULL);
		size -= count + (end != NULL);
	}
	must(fclose(file) == 0);
	return text;
}

static void check_record(const struct record *record)
{
	const struct record_entry *entry = NULL;
	size_t count = 0;

	while ((entry = record_next(record, entry))) {
		struct range peers = record_peers(entry);
		must(++count <= RECORD_ENTRIES_MAX);
		must(range_prefix_length(&peers) == entry->prefix);
		must(entry->kind < RECORD_KINDS && entry->protocol < PROTOCOLS);
		must(strlen(record_flow_of(record, entry)) <= CONFIG_ID_MAX);
	}
	must(count == record->used);
	must(record->flow_count <= RECORD_FLOWS_MAX);
}

static char *through(const char *text)
{
	struct record record;
	bool same_boot;

	record_init(&record, 7);
	must(record_from_text(&record, text, "boot", &same_boot) == 0);
	check_record(&record);
	char *written = record_text(&record, "boot");
	must(written != NULL);
	record_pass(&record, 0, INT64_MAX); /* all of it goes */
	must(record.used == 0);
	record_free(&record);
	return written;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	char *text = with_checksums(data, size), *once = through(text), *twice = through(once);

	must(strcmp(once, twice) == 0);
	free(twice);
	free(once);
	free(text);
	return 0;
}
