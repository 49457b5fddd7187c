/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_values.h"

#include "array.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	LABEL_MAX = 63, /* characters between two dots of a name, RFC 1035 */
	PORT_MAX = 65535,
	DNS_PORT = 53,
};

static const char digits[] = "0123456789";

bool is_role_name(const char *word)
{
	return word[0] >= 'A' && word[0] <= 'Z' && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

bool is_flow_name(const char *word)
{
	return word[0] >= 'a' && word[0] <= 'z' && !word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

bool words_next(struct words *words)
{
	static const char separators[] = " \t\n,";

	for (; *words->rest && strchr(separators, *words->rest); words->rest++)
		words->next_line += *words->rest == '\n';
	if (!*words->rest)
		return false;
	words->word = words->rest;
	words->line = words->next_line;
	words->rest += strcspn(words->rest, separators);
	if (*words->rest) {
		words->next_line += *words->rest == '\n';
		*words->rest++ = '\0';
	}
	return true;
}

static struct words words_of(const struct value *value)
{
	return (struct words){ .rest = value->text, .next_line = value->line };
}

const char *config_keep_string(struct config *config, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return NULL;
	if (config->string_count == config->string_capacity) {
		char **grown = array_grow(config->strings, &config->string_capacity, sizeof(*grown));

		if (!grown) {
			free(copy);
			return NULL;
		}
		config->strings = grown;
	}
	config->strings[config->string_count++] = copy;
	return copy;
}

const char *config_read_error(int error)
{
	if (error == -ENOTSUP)
		return "not a regular file";
	return strerror(-error);
}

bool config_check_text(const char *file, const char *bytes, size_t length, struct diags *diags, size_t *ret_start)
{
	unsigned line = 1;

	if (length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
		diag_error(diags, file, 1, "this is UTF-16: save it as UTF-8");
		return false;
	}
	*ret_start = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	for (size_t i = *ret_start; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		bool line_end = byte == '\n' || (byte == '\r' && i + 1 < length && bytes[i + 1] == '\n');

		if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7f) {
			diag_error(diags, file, line, "byte 0x%02x: this is a binary file, write plain text", byte);
			return false;
		}
		line += byte == '\n';
	}
	return true;
}

/* Members */

/* One list of members while it is read, from the INI file or from a file that it names. */
struct member_reader {
	const struct value *value;
	unsigned accept;
	struct members *list;
	const char *file; /* that holds the member; owned by the config */
	unsigned line;
	bool in_file; /* not the INI file itself */
};

static void __attribute__((format(printf, 2, 3))) complain(const struct member_reader *reader, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		diag_error(reader->value->diags, reader->file, reader->line, "%s", text);
	else
		reader->value->diags->out_of_memory = true;
	free(text);
}

/* "KEY takes ...", for people. */
static const char *what_is_right(const struct member_reader *reader, char buffer[128])
{
	unsigned accept = reader->accept;

	snprintf(buffer, 128, "%s takes %s%s%s%s", reader->value->key,
		 accept & ACCEPT_RANGES ? "addresses, prefixes, ranges" : "addresses",
		 accept & ACCEPT_NAMES ? ", names" : "", accept & ACCEPT_ROLES ? ", roles" : "",
		 accept & ACCEPT_FILES                     ? ", file:PATH"
		 : accept & (ACCEPT_RANGES | ACCEPT_NAMES) ? ""
							   : " alone");
	return buffer;
}

static int add_member(const struct member_reader *reader, struct member member, const char *text)
{
	member.file = reader->file;
	member.line = reader->line;
	if (text && !(member.text = config_keep_string(reader->value->config, text)))
		return -ENOMEM;
	return ARRAY_PUSH(reader->list, member) < 0 ? -ENOMEM : 0;
}

/* Takes a word that range_parse() could read, or could at least recognise. */
static int take_range(const struct member_reader *reader, const char *word, enum range_error error,
		      const struct range *range)
{
	char right[128], text[RANGE_TEXT_MAX];
	const char *last = strchr(word, '-');

	switch (error) {
	case RANGE_HOST_BITS:
		complain(reader, "%s has host bits set: write %s", word, range_format(range, text));
		return 0;
	case RANGE_MAPPED:
		complain(reader, "%s is IPv4 in IPv6 form: write %s", word, range_format(range, text));
		return 0;
	case RANGE_REVERSED:
		complain(reader, "range %s is reversed: write %s-%.*s", word, last + 1, (int)(last - word), word);
		return 0;
	case RANGE_MIXED:
		complain(reader, "range %s has ends of two families: write one range for each", word);
		return 0;
	case RANGE_PREFIX:
		complain(reader, "%s has no valid prefix length: it is a number from 0 to %u", word,
			 strchr(word, ':') ? 128U : 32U);
		return 0;
	default: break;
	}
	if (!(reader->accept & ACCEPT_RANGES) && !range_is_host(range)) {
		complain(reader, "%s is more than one address: %s", word, what_is_right(reader, right));
		return 0;
	}
	return add_member(reader, (struct member){ .kind = MEMBER_RANGE, .range = *range }, NULL);
}

/* Words that can only be meant as addresses. */
static bool looks_like_address(const char *word)
{
	size_t length = strlen(word);

	if (strspn(word, "0123456789./-") == length || word[0] == '[')
		return true;
	return strchr(word, ':') && strspn(word, "0123456789abcdefABCDEF:./-") >= strcspn(word, "%");
}

static void complain_address(const struct member_reader *reader, const char *word)
{
	size_t length = strlen(word);

	if (word[0] == '[')
		complain(reader, "%s is not an address: write it without brackets", word);
	else if (strchr(word, '%'))
		complain(reader, "%s is not an address: write it without its zone", word);
	else if (word[0] == '-' || word[length - 1] == '-')
		complain(reader, "range %s lacks an end: write FIRST-LAST without spaces", word);
	else if (strchr(word, '-'))
		complain(reader, "%s is not a range: write both addresses in full, such as 192.0.2.1-192.0.2.20", word);
	else if (strchr(word, ':') && strcspn(word, ".") < strcspn(word, ":"))
		complain(reader, "%s is not an address: write it without the port, which goes into the key port", word);
	else if (strchr(word, ':'))
		complain(reader, "%s is not an address: an IPv6 address is such as 2001:db8::25", word);
	else
		complain(reader,
			 "%s is not an address: an IPv4 address is four numbers from 0 to 255, such as 192.0.2.25",
			 word);
}

/* One part of a name, up to its dot. */
static bool check_label(const struct member_reader *reader, const char *name, const char *label, size_t length)
{
	size_t good = strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (good < length && (unsigned char)label[good] >= 0x80)
		complain(reader, "name %s holds letters beyond ASCII: write it in its xn-- form", name);
	else if (good < length && label[good] == ':')
		complain(reader, "name %s holds ':': write the host name alone, a port goes into the key port", name);
	else if (good < length && label[good] == '*')
		complain(reader,
			 "name %s holds a star: it may only stand for the whole first part, as in *.example.com", name);
	else if (good < length)
		complain(reader, "name %s holds '%c': a name is letters, digits, hyphens and underscores between dots",
			 name, label[good]);
	else if (length == 0)
		complain(reader, "name %s has an empty part: write one dot between its parts", name);
	else if (length > LABEL_MAX)
		complain(reader, "name %s has a part of %zu characters: they have up to %d", name, length, LABEL_MAX);
	else
		return true;
	return false;
}

static bool check_name(const struct member_reader *reader, const char *name)
{
	const char *label = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

	for (;; label += strcspn(label, ".") + 1) {
		size_t length = strcspn(label, ".");

		if (!check_label(reader, name, label, length))
			return false;
		if (label[length])
			continue;
		if (!label[strspn(label, digits)] || !label[strspn(label, "0123456789-")]) {
			complain(reader, "name %s ends in a number: it is neither an address nor a name", name);
			return false;
		}
		return true;
	}
}

static int take_name(const struct member_reader *reader, char *word)
{
	size_t length = strlen(word);
	char right[128];

	if (length && word[length - 1] == '.')
		word[--length] = '\0';
	for (char *c = word; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!(reader->accept & ACCEPT_NAMES)) {
		complain(reader, "%s is a name: %s", word, what_is_right(reader, right));
		return 0;
	}
	if (!check_name(reader, word))
		return 0;
	if (word[0] == '*' && !(reader->accept & ACCEPT_STAR)) {
		complain(reader, "%s holds a star: only the target of a flow (to) may, write single names", word);
		return 0;
	}
	if (word[0] == '*' && !strchr(word + 2, '.'))
		diag_warning(reader->value->diags, reader->file, reader->line,
			     "%s is every name of a whole top-level domain: write *.example.%s", word, word + 2);
	return add_member(reader, (struct member){ .kind = MEMBER_NAME }, word);
}

static int take_role(const struct member_reader *reader, const char *word)
{
	bool any = strcmp(word, "any") == 0 || strcmp(word, "ANY") == 0;
	char right[128];

	if (!(reader->accept & ACCEPT_ROLES))
		complain(reader, "%s is %s: %s", word, any ? "every address" : "a role", what_is_right(reader, right));
	else if (any)
		return add_member(reader, (struct member){ .kind = MEMBER_ANY }, NULL);
	else if (strlen(word) > CONFIG_ID_MAX)
		complain(reader, "role name of %zu characters: it has up to %d", strlen(word), CONFIG_ID_MAX);
	else
		return add_member(reader, (struct member){ .kind = MEMBER_ROLE }, word);
	return 0;
}

static void complain_word(const struct member_reader *reader, const char *word)
{
	static const char *const builtin[] = { "ANY", "ADM", "SERVER", "CA" };
	const struct config *config = reader->value->config;
	const char *meant = NULL;
	char right[128];

	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		if (strcasecmp(word, builtin[i]) == 0)
			meant = builtin[i];
	for (size_t i = 0; i < config->role_count; i++)
		if (strcasecmp(word, config->roles[i].name) == 0)
			meant = config->roles[i].name;

	if (!(reader->accept & (ACCEPT_NAMES | ACCEPT_ROLES)))
		complain(reader, "%s is not an address: %s", word, what_is_right(reader, right));
	else if (!(reader->accept & ACCEPT_ROLES))
		complain(reader, "%s is neither an address nor a name: a name holds a dot", word);
	else if (meant)
		complain(reader, "%s is not a role: did you mean %s?", word, meant);
	else
		complain(reader,
			 "%s is neither an address, a name nor a role: a name holds a dot, a role is in capitals",
			 word);
}

static int take_file(const struct member_reader *reader, const char *path);

static int take_member(const struct member_reader *reader, char *word)
{
	struct range range;
	enum range_error error;
	size_t length = strlen(word);

	if (strncmp(word, "file:", 5) == 0)
		return take_file(reader, word + 5);
	length -= word[length - 1] == '.';
	if (length > CONFIG_NAME_MAX) { /* nothing else is that long */
		complain(reader, "name of %zu characters: a name has up to %d", length, CONFIG_NAME_MAX);
		return 0;
	}
	error = range_parse(word, &range);
	if (error != RANGE_SYNTAX)
		return take_range(reader, word, error, &range);
	if (looks_like_address(word))
		complain_address(reader, word);
	else if (is_role_name(word) || strcmp(word, "any") == 0)
		return take_role(reader, word);
	else if (strchr(word, '.') && word[strcspn(word, ".") + 1])
		return take_name(reader, word);
	else
		complain_word(reader, word);
	return 0;
}

/* One line of a file of members. */
static int take_line(const struct member_reader *reader, char *text)
{
	struct words words = { .rest = text };
	char *word;

	for (char *c = text; *c; c++) {
		if (*c == '#' && (c == text || isspace((unsigned char)c[-1]))) {
			*c = '\0';
			break;
		}
	}
	if (!words_next(&words))
		return 0;
	word = words.word;
	if (words_next(&words)) {
		complain(reader, "more than one member in a line: write one a line%s",
			 words.word[0] == ';' ? ", comments begin with #" : "");
		return 0;
	}
	return take_member(reader, word);
}

/* The lines of a file of members; bytes has room for a NUL behind length. */
static int take_lines(struct member_reader *reader, char *bytes, size_t length)
{
	size_t start;
	int r = 0;

	if (!config_check_text(reader->file, bytes, length, reader->value->diags, &start))
		return 0;
	bytes[length] = '\0';
	for (char *line = bytes + start; line < bytes + length && r == 0;) {
		char *end = line + strcspn(line, "\r\n");
		char *next = *end == '\r' ? end + 2 : end + 1;

		*end = '\0';
		reader->line++;
		r = take_line(reader, line);
		line = next;
	}
	return r;
}

/* A relative path begins where the INI file is. */
static char *path_of_file(const struct config *config, const char *path)
{
	const char *slash = strrchr(config->path, '/');
	char *full;

	if (path[0] == '/' || !slash)
		return strdup(path);
	return asprintf(&full, "%.*s/%s", (int)(slash - config->path), config->path, path) < 0 ? NULL : full;
}

static int read_members(const struct member_reader *reader, const char *path)
{
	const struct value *value = reader->value;
	struct member_reader inner = *reader;
	char *bytes = NULL, *grown;
	size_t length = 0;
	int r;

	inner.in_file = true;
	inner.line = 0;
	inner.file = config_keep_string(value->config, path);
	if (!inner.file)
		return -ENOMEM;
	r = value->read_file ? value->read_file(value->userdata, path, &bytes, &length) : -ENOENT;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		complain(reader, "file %s can't be read: %s: check its path and permissions", path,
			 config_read_error(r));
		return 0;
	}
	grown = realloc(bytes, length + 1);
	r = grown ? take_lines(&inner, grown, length) : -ENOMEM;
	free(grown ? grown : bytes);
	return r;
}

static int take_file(const struct member_reader *reader, const char *path)
{
	char right[128], *full;
	int r;

	if (!(reader->accept & ACCEPT_FILES)) {
		complain(reader, "file:%.60s is a file: %s", path, what_is_right(reader, right));
		return 0;
	}
	if (reader->in_file) {
		complain(reader, "file:%.60s within a file: write its members here, or name it in the INI file", path);
		return 0;
	}
	if (!*path) {
		complain(reader, "file: names no file: write file:PATH");
		return 0;
	}
	full = path_of_file(reader->value->config, path);
	if (!full)
		return -ENOMEM;
	r = read_members(reader, full);
	free(full);
	return r;
}

int value_members(const struct value *value, unsigned accept, struct members *ret)
{
	struct member_reader reader = { .value = value, .accept = accept, .list = ret, .file = value->file };
	struct words words = words_of(value);
	struct member *trimmed;
	int r = 0;

	ret->line = value->line;
	while (r == 0 && words_next(&words)) {
		reader.line = words.line;
		r = take_member(&reader, words.word);
	}
	/* A list of 100,000 has grown by doubling; it does not grow again. */
	trimmed = ret->count ? realloc(ret->items, ret->count * sizeof(*ret->items)) : NULL;
	if (trimmed) {
		ret->items = trimmed;
		ret->capacity = ret->count;
	}
	return r;
}

/* Ports, links, DNS servers */

/* Digits alone, without needless zeros. False where text is not a number; too large ones are UINT32_MAX. */
static bool parse_number(const char *text, size_t length, uint32_t *ret)
{
	uint64_t number = 0;

	if (length == 0 || strspn(text, digits) < length || (length > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < length; i++) {
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > UINT32_MAX)
			number = UINT32_MAX;
	}
	*ret = (uint32_t)number;
	return true;
}

static bool parse_ports(const struct value *value, const char *word, unsigned line, struct port_range *ret)
{
	size_t length = strcspn(word, "-");
	const char *last_text = word[length] ? word + length + 1 : word;
	uint32_t first, last;

	if (word[length] && !word[strspn(word, "0123456789-")] && (length == 0 || !*last_text))
		diag_error(value->diags, value->file, line,
			   "port range %s lacks an end: write FIRST-LAST without spaces", word);
	else if (!parse_number(word, length, &first) || !parse_number(last_text, strlen(last_text), &last))
		diag_error(value->diags, value->file, line,
			   "%s is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100", word);
	else if (first < 1 || first > PORT_MAX || last < 1 || last > PORT_MAX)
		diag_error(value->diags, value->file, line, "port %s is out of bounds: write 1 to 65535", word);
	else if (first > last)
		diag_error(value->diags, value->file, line, "port range %s is reversed: write %u-%u", word, last,
			   first);
	else {
		*ret = (struct port_range){ (uint16_t)first, (uint16_t)last };
		return true;
	}
	return false;
}

/* Marks the ports in a bitmap; whether one was marked before. */
static bool mark_ports(uint8_t marks[8192], const struct port_range *ports)
{
	bool again = false;

	for (unsigned port = ports->first; port <= ports->last; port++) {
		again |= marks[port / 8] >> port % 8 & 1;
		marks[port / 8] |= (uint8_t)(1 << port % 8);
	}
	return again;
}

int value_ports(const struct value *value, struct ports *ret)
{
	struct {
		struct port_range *items;
		size_t count, capacity;
	} list = { 0 };
	struct words words = words_of(value);
	uint8_t marks[8192] = { 0 };
	struct port_range ports;

	while (words_next(&words)) {
		if (!parse_ports(value, words.word, words.line, &ports))
			continue;
		if (mark_ports(marks, &ports))
			diag_warning(value->diags, value->file, words.line,
				     "port %s is in the list already: leave it out", words.word);
		if (ARRAY_PUSH(&list, ports) < 0) {
			free(list.items);
			return -ENOMEM;
		}
	}
	free(ret->items);
	*ret = (struct ports){ list.items, list.count, value->line };
	return 0;
}

static bool check_link(const struct value *value, const char *word, unsigned line)
{
	if (strlen(word) > CONFIG_INTERFACE_MAX)
		diag_error(value->diags, value->file, line, "link name %s has %zu characters: it has up to %d", word,
			   strlen(word), CONFIG_INTERFACE_MAX);
	else if (strchr(word, '*') || strchr(word, '+'))
		diag_error(value->diags, value->file, line, "link name %s holds a wildcard: name each link", word);
	else if (strpbrk(word, "/:\"") || strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
		diag_error(value->diags, value->file, line,
			   "%s is not the name of a link: write names such as eth0, or auto or any", word);
	else
		return true;
	return false;
}

static int add_link(struct config *config, const char *word)
{
	char(*grown)[CONFIG_INTERFACE_MAX + 1];

	for (size_t i = 0; i < config->interface_count; i++)
		if (strcmp(config->interface_names[i], word) == 0)
			return 0;
	grown = realloc(config->interface_names, (config->interface_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	config->interface_names = grown;
	snprintf(grown[config->interface_count++], sizeof(*grown), "%s", word);
	return 0;
}

int value_interfaces(const struct value *value)
{
	struct config *config = value->config;
	struct words words = words_of(value);
	unsigned count = 0;
	bool alone = false;
	int r = 0;

	while (r == 0 && words_next(&words)) {
		bool is_auto = strcmp(words.word, "auto") == 0, is_any = strcmp(words.word, "any") == 0;

		alone |= is_auto || is_any;
		if (alone && count++ > 0) {
			diag_error(value->diags, value->file, words.line,
				   "interface holds auto or any beside others: write it alone");
			break;
		}
		count += !alone;
		config->interfaces = is_auto ? INTERFACES_AUTO : is_any ? INTERFACES_ANY : INTERFACES_NAMED;
		if (!alone && check_link(value, words.word, words.line))
			r = add_link(config, words.word);
	}
	return r;
}

static bool parse_dns_server(const struct value *value, char *word, unsigned line, struct dns_server *ret)
{
	char *hash = strchr(word, '#');
	uint32_t port = DNS_PORT;
	char text[RANGE_TEXT_MAX];
	struct range range;
	enum range_error error;

	if (hash)
		*hash = '\0';
	error = range_parse(word, &range);
	if (error == RANGE_MAPPED)
		diag_error(value->diags, value->file, line, "%s is IPv4 in IPv6 form: write %s", word,
			   range_format(&range, text));
	else if (error != RANGE_OK || !range_is_host(&range))
		diag_error(value->diags, value->file, line,
			   "%s is not the address of a DNS server: write addresses such as 192.0.2.53 or "
			   "192.0.2.53#5353, or system",
			   word);
	else if (hash && (!parse_number(hash + 1, strlen(hash + 1), &port) || port < 1 || port > PORT_MAX))
		diag_error(value->diags, value->file, line, "port %s is out of bounds: write 1 to 65535", hash + 1);
	else {
		*ret = (struct dns_server){ range.first, (uint16_t)port };
		return true;
	}
	return false;
}

int value_dns_servers(const struct value *value)
{
	struct config *config = value->config;
	struct words words = words_of(value);
	struct dns_server server, *grown;
	bool system = false;

	for (unsigned count = 0; words_next(&words); count++) {
		bool is_system = strcmp(words.word, "system") == 0;

		if (count && (system || is_system)) {
			diag_error(value->diags, value->file, words.line,
				   "servers holds system beside others: write it alone");
			break;
		}
		system |= is_system;
		if (is_system || !parse_dns_server(value, words.word, words.line, &server))
			continue;
		grown = realloc(config->dns_servers, (config->dns_server_count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		config->dns_servers = grown;
		grown[config->dns_server_count++] = server;
	}
	config->dns_system = system;
	return 0;
}

/* Single words */

int value_choice(const struct value *value, const char *const *choices, unsigned count, unsigned *ret)
{
	const char *nearest;
	char list[128] = "";

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(value->text, choices[i]) == 0) {
			*ret = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i == 0           ? ""
			 : i + 1 == count ? " or "
					  : ", ",
			 choices[i]);
	}
	nearest = diag_nearest(value->text, choices, count);
	if (nearest)
		diag_error(value->diags, value->file, value->line, "unknown value %s for %s: did you mean %s?",
			   value->text, value->key, nearest);
	else
		diag_error(value->diags, value->file, value->line, "unknown value %s for %s: write %s", value->text,
			   value->key, list);
	return 0;
}

int value_yes_no(const struct value *value, bool *ret)
{
	static const char *const choices[] = { "no", "yes" };
	unsigned choice = *ret;
	int r = value_choice(value, choices, 2, &choice);

	*ret = choice;
	return r;
}

int value_number(const struct value *value, unsigned most, uint16_t *ret)
{
	uint32_t number;

	if (!parse_number(value->text, strlen(value->text), &number) || number > most)
		diag_error(value->diags, value->file, value->line, "%s = %s is not a number from 0 to %u: write one",
			   value->key, value->text, most);
	else
		*ret = (uint16_t)number;
	return 0;
}

static const struct {
	char letter;
	int64_t ms;
} units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };

char *duration_format(int64_t ms, char buffer[24])
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms == 0 && (ms || units[i].letter == 's')) {
			snprintf(buffer, 24, "%lld%c", (long long)(ms / units[i].ms), units[i].letter);
			return buffer;
		}
	}
	snprintf(buffer, 24, "%lldms", (long long)ms);
	return buffer;
}

int value_duration(const struct value *value, int64_t least_ms, int64_t most_ms, int64_t *ret_ms)
{
	const char *text = value->text;
	size_t length = strspn(text, digits);
	char least[24], most[24];
	int64_t unit = 0;
	uint32_t number;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[length] == units[i].letter && !text[length + 1])
			unit = units[i].ms;

	if (length && !text[length])
		diag_error(value->diags, value->file, value->line, "%s = %s has no unit: write %ss, or m, h or d for s",
			   value->key, text, text);
	else if (!unit || !parse_number(text, length, &number))
		diag_error(value->diags, value->file, value->line,
			   "%s = %s is not a duration: write a number and s, m, h or d, such as 30s", value->key, text);
	else if (number * unit < least_ms || number * unit > most_ms)
		diag_error(value->diags, value->file, value->line, "%s = %s is out of bounds: write %s to %s",
			   value->key, text, duration_format(least_ms, least), duration_format(most_ms, most));
	else
		*ret_ms = number * unit;
	return 0;
}
