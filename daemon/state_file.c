/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state_file.h"
#include "core/hash.h"
#include "core/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES_FILE "addresses"
#define ADDRESSES_HEADER "spefw-addresses 1"
#define ADDRESSES_END "end"

enum {
	LINE_MAX_BYTES = 384, /* name, address, second, checksum, and the spaces between */
	CHECKSUM_DIGITS = 16,
	NAME_MAX_BYTES = 253,
	LOCK_FD_MIN = 200, /* above what is open when spefw-resolver is started for the first time */
	LOCK_PAUSE_MS = 20,
	LOCK_TRIES = 100, /* two seconds */
	FILE_MODE = 0600,
};

/* A child that closes its descriptors in their order closes this one last: once the lock can be had, the sockets of a
 * killed daemon are closed, too. */
static int open_last(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int last = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOCK_FD_MIN);

	if (last < 0)
		return fd < 0 ? -errno : fd;
	close(fd);
	return last;
}

int state_lock(const char *directory)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int fd = open_last(directory), r = fd < 0 ? fd : -EBUSY;

	for (int tries = 0; r == -EBUSY && tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK)
			r = -errno;
		else
			nanosleep(&pause, NULL);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static bool is_file_name(const char *file)
{
	return *file && *file != '.' && !strchr(file, '/') && strlen(file) < NAME_MAX - sizeof(".new");
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_new(int directory_fd, const char *name, const char *bytes, size_t length, mode_t mode)
{
	/* A file left by a killed daemon may be anything: never write through it. */
	if (unlinkat(directory_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return -errno;

	int status = write_all(fd, bytes, length);
	if (status == 0 && mode != FILE_MODE && fchmod(fd, mode) < 0)
		status = -errno;
	if (status == 0 && fsync(fd) < 0)
		status = -errno;
	if (close(fd) < 0 && status == 0)
		status = -errno;
	return status;
}

int state_save(const char *directory, const char *file, const char *bytes, size_t length)
{
	return state_save_mode(directory, file, bytes, length, FILE_MODE);
}

int state_save_mode(const char *directory, const char *file, const char *bytes, size_t length, mode_t mode)
{
	char temporary[NAME_MAX + 1];
	int status;

	if (!is_file_name(file))
		return -EINVAL;
	snprintf(temporary, sizeof(temporary), ".%s.new", file);

	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		return -errno;
	status = write_new(directory_fd, temporary, bytes, length, mode);
	if (status == 0 && renameat(directory_fd, temporary, directory_fd, file) < 0)
		status = -errno;
	if (status < 0)
		unlinkat(directory_fd, temporary, 0);
	else if (fsync(directory_fd) < 0)
		status = -errno;
	close(directory_fd);
	return status;
}

int state_remove(const char *directory, const char *file)
{
	int status = 0;

	if (!is_file_name(file))
		return -EINVAL;
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		return -errno;
	if (unlinkat(directory_fd, file, 0) < 0)
		status = errno == ENOENT ? 0 : -errno;
	else if (fsync(directory_fd) < 0)
		status = -errno;
	close(directory_fd);
	return status;
}

/* Reads to the end, wherever that is by now; one byte over max is enough to know. */
static int read_all(int fd, size_t size, size_t max, char **ret_bytes, size_t *ret_length)
{
	size_t capacity = size + 1, length = 0;
	char *bytes = malloc(capacity + 1);

	if (!bytes)
		return -ENOMEM;
	while (length < capacity) {
		ssize_t got = read(fd, bytes + length, capacity - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int status = -errno;
			free(bytes);
			return status;
		}
		if (got == 0)
			break;
		length += (size_t)got;
	}
	if (length > max || length == capacity) {
		free(bytes);
		return -EFBIG;
	}
	bytes[length] = '\0';
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

int state_load(const char *directory, const char *file, size_t max, char **ret_bytes, size_t *ret_length)
{
	struct stat info;
	int status;

	if (!is_file_name(file))
		return -EINVAL;
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0)
		return -errno;
	/* A FIFO must not hold up the start. */
	int fd = openat(directory_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	status = fd < 0 ? -errno : 0;
	close(directory_fd);
	if (fd < 0)
		return status;

	if (fstat(fd, &info) < 0)
		status = -errno;
	else if (!S_ISREG(info.st_mode))
		status = -EINVAL;
	else if ((uint64_t)info.st_size > max)
		status = -EFBIG;
	else
		status = read_all(fd, (size_t)info.st_size, max, ret_bytes, ret_length);
	close(fd);
	return status;
}

void state_boot_id(char ret[STATE_BOOT_MAX])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(ret, STATE_BOOT_MAX, "unknown");
	if (!file)
		return;
	if (!fgets(ret, STATE_BOOT_MAX, file))
		snprintf(ret, STATE_BOOT_MAX, "unknown");
	ret[strcspn(ret, "\n")] = '\0';
	fclose(file);
}

/* Against worn media and half-written blocks. Whoever may write here needs no forgery. */
static uint64_t checksum(const char *bytes, size_t length)
{
	return hash_bytes(HASH_START, bytes, length);
}

static void put_line(FILE *text, const char *line, int length)
{
	fprintf(text, "%s %016" PRIx64 "\n", line, checksum(line, (size_t)length));
}

static void put_entry(FILE *text, const struct book_entry *entry, int64_t now_ms, int64_t wall_s)
{
	char line[LINE_MAX_BYTES], address[ADDR_TEXT_MAX];

	for (size_t i = 0; i < entry->address_count; i++) {
		const struct book_address *item = &entry->addresses[i];
		int64_t age_s = (now_ms - item->confirmed_ms) / 1000;
		int length = snprintf(line, sizeof(line), "%s %s %" PRId64, entry->name,
				      addr_format(&item->addr, address), wall_s > age_s ? wall_s - age_s : 0);
		if (item->origin == ORIGIN_OBSERVED)
			length += snprintf(line + length, sizeof(line) - (size_t)length, " %" PRId64,
					   wall_s + (item->expires_ms - now_ms) / 1000);
		put_line(text, line, length);
	}
}

/* The text of the file; *ret is to be freed. */
static int compose(const struct addrbook *book, int64_t now_ms, int64_t wall_s, char **ret, size_t *ret_length)
{
	char line[LINE_MAX_BYTES];
	struct book_entry entry;
	size_t lines = 0;
	FILE *text = open_memstream(ret, ret_length);

	if (!text)
		return -ENOMEM;
	put_line(text, ADDRESSES_HEADER, sizeof(ADDRESSES_HEADER) - 1);
	for (size_t i = 0; i < addrbook_count(book); i++) {
		addrbook_entry(book, i, &entry);
		/* What a later load would refuse must not cost the rest. */
		if (strlen(entry.name) > NAME_MAX_BYTES)
			continue;
		put_entry(text, &entry, now_ms, wall_s);
		lines += entry.address_count;
	}
	int length = snprintf(line, sizeof(line), ADDRESSES_END " %zu", lines);
	put_line(text, line, length);

	return lines_end(text, ret) ? 0 : -ENOMEM;
}

int state_save_addresses(const char *directory, const struct addrbook *book, int64_t now_ms, int64_t wall_s)
{
	char *text = NULL;
	size_t length;
	int status = compose(book, now_ms, wall_s, &text, &length);

	if (status < 0)
		return status;
	status = length <= STATE_ADDRESSES_MAX ? state_save(directory, ADDRESSES_FILE, text, length) : -EFBIG;
	free(text);
	return status;
}

/* Takes the next line, without its end, checksum and the space before that, into `line`. False: it is damaged. */
static bool take_line(const char **bytes, size_t *length, char line[LINE_MAX_BYTES])
{
	const char *start = *bytes, *end = *length ? memchr(start, '\n', *length) : NULL;
	size_t size = end ? (size_t)(end - start) : *length;
	char sum[CHECKSUM_DIGITS + 1];

	*bytes += end ? size + 1 : size;
	*length -= end ? size + 1 : size;
	if (!end || size < CHECKSUM_DIGITS + 1 || size - CHECKSUM_DIGITS - 1 >= LINE_MAX_BYTES ||
	    memchr(start, '\0', size))
		return false;
	size -= CHECKSUM_DIGITS + 1;
	memcpy(line, start, size);
	line[size] = '\0';
	snprintf(sum, sizeof(sum), "%016" PRIx64, checksum(line, size));
	return start[size] == ' ' && memcmp(start + size + 1, sum, CHECKSUM_DIGITS) == 0;
}

/* Digits alone: no sign, no space, no overflow. */
static bool parse_number(const char *text, int64_t *ret)
{
	int64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value))
			return false;
	*ret = value;
	return true;
}

/* Splits at the spaces; exactly count words. */
static bool split(char *line, char **words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		words[i] = line;
		char *space = strchr(line, ' ');
		if (!space != (i == count - 1) || *line == ' ' || *line == '\0')
			return false;
		if (space)
			*space = '\0';
		line = space ? space + 1 : line;
	}
	return true;
}

static int64_t age_ms(int64_t second, int64_t wall_s)
{
	int64_t age_s;

	if (second >= wall_s)
		return 0;
	if (__builtin_sub_overflow(wall_s, second, &age_s) || age_s > INT64_MAX / 1000)
		return INT64_MAX;
	return age_s * 1000;
}

static size_t count_spaces(const char *line)
{
	size_t count = 0;

	for (; *line; line++)
		count += *line == ' ';
	return count;
}

/* NAME ADDRESS CONFIRMED; and UNTIL, of one that was observed. */
static int remember_line(char *line, struct addrbook *book, int64_t now_ms, int64_t wall_s)
{
	size_t count = count_spaces(line) + 1;
	char *words[4];
	struct addr addr;
	int64_t second, until = 0;
	int status;

	if (count < 3 || count > 4 || !split(line, words, count) || strlen(words[0]) > NAME_MAX_BYTES ||
	    !addr_parse(words[1], &addr) || !parse_number(words[2], &second) ||
	    (count == 4 && !parse_number(words[3], &until)))
		return -EBADMSG;
	if (count == 4) /* the seconds from now to then, as those from an age to now */
		status = addrbook_remember_observed(book, words[0], &addr, age_ms(wall_s, until), now_ms);
	else
		status = addrbook_remember(book, words[0], &addr, age_ms(second, wall_s), now_ms);
	return status == -ENOENT ? 0 : status;
}

static bool is_end(char *line, int64_t lines)
{
	char *words[2];
	int64_t number;

	return split(line, words, 2) && strcmp(words[0], ADDRESSES_END) == 0 && parse_number(words[1], &number) &&
	       number == lines;
}

int state_read_addresses(const char *bytes, size_t length, struct addrbook *book, int64_t now_ms, int64_t wall_s)
{
	char line[LINE_MAX_BYTES];
	int64_t lines = 0;
	bool damaged = false;

	/* Another version may mean other things by the same words. */
	if (!take_line(&bytes, &length, line) || strcmp(line, ADDRESSES_HEADER) != 0)
		return -EBADMSG;
	while (length > 0) {
		if (!take_line(&bytes, &length, line)) {
			damaged = true;
			continue;
		}
		if (strncmp(line, ADDRESSES_END " ", sizeof(ADDRESSES_END)) == 0 &&
		    strchr(line, ' ') == strrchr(line, ' '))
			return damaged || length > 0 || !is_end(line, lines) ? -EBADMSG : 0;
		int status = remember_line(line, book, now_ms, wall_s);
		if (status == -EBADMSG)
			damaged = true;
		else if (status < 0)
			return status;
		lines++;
	}
	return -EBADMSG; /* cut off before its end */
}

int state_load_addresses(const char *directory, struct addrbook *book, int64_t now_ms, int64_t wall_s)
{
	char *bytes = NULL;
	size_t length = 0;
	int status = state_load(directory, ADDRESSES_FILE, STATE_ADDRESSES_MAX, &bytes, &length);

	if (status < 0)
		return status;
	status = state_read_addresses(bytes, length, book, now_ms, wall_s);
	free(bytes);
	return status;
}
