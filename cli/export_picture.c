/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* A role in the middle; at its left who may reach it, at its right what it may reach, each with the ports. A second
 * drawing, from top to bottom, is for narrow screens. Lengths are in units of the drawing; the page's style sheet has
 * fonts and colours. */

enum {
	PEERS_MAX = 16, /* of one side; the table has the rest */
	LINE = 18,      /* from one line of text to the next */
	PAD = 12,
	GAP = 14,       /* between boxes */
	TEXT_SIZE = 13, /* of its fonts; titles are bold */
	TITLE_SIZE = 15,
	MEMBERS_SHOWN = 4,

	WIDE = 1000,
	WIDE_PEER = 340,
	WIDE_ROLE = 200,
	NARROW = 340,
	NARROW_INDENT = 34,
	BUS = 12, /* where its line is */
};

struct peer {
	const char *name; /* as the flows have it */
	struct text who, ports;
};

struct side {
	json_t *ports; /* peer: protocol: port */
	struct peer *peers;
	size_t count, left_out;
};

struct picture {
	FILE *out;
	const json_t *document;
	const char *role;
	struct side in, out_of;
};

/* Who, and by which ports */

static bool has_word(const json_t *list, const char *word)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_text(json_array_get(list, i)), word) == 0)
			return true;
	return false;
}

static json_t *member(json_t *object, const char *key)
{
	if (!json_object_get(object, key))
		json_object_set_new(object, key, json_object());
	return json_object_get(object, key);
}

/* end: "from" or "to", where the others are. */
static void add_flow(struct side *side, const json_t *flow, const char *end)
{
	const json_t *ports = json_object_get(flow, "ports");
	struct text name = { 0 };

	text_add_words(&name, flow, end, json_array_size(json_object_get(flow, end)));
	json_t *protocol = member(member(side->ports, text_of(&name)), json_text_of(flow, "protocol"));
	for (size_t i = 0; i < json_array_size(ports); i++)
		json_object_set_new(protocol, json_text(json_array_get(ports, i)), json_true());
	text_free(&name);
}

static void read_flows(struct picture *picture)
{
	const json_t *flows = json_object_get(picture->document, "flows");

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (!json_truth_of(flow, "enabled"))
			continue;
		if (has_word(json_object_get(flow, "inbound"), picture->role))
			add_flow(&picture->in, flow, "from");
		if (has_word(json_object_get(flow, "outbound"), picture->role))
			add_flow(&picture->out_of, flow, "to");
	}
}

static const json_t *find_role(const json_t *document, const char *name)
{
	const json_t *roles = json_object_get(document, "roles");

	for (size_t i = 0; i < json_array_size(roles); i++)
		if (strcmp(json_text_of(json_array_get(roles, i), "name"), name) == 0)
			return json_array_get(roles, i);
	return NULL;
}

static void add_members(const struct picture *picture, struct text *text, const char *name, bool inbound)
{
	const json_t *role = find_role(picture->document, name);

	if (strcmp(name, "ANY") == 0 || has_word(json_object_get(role, "members"), "ANY"))
		text_add(text, inbound ? "every address" : "every address that is not protected");
	else
		text_add_words(text, role, "members", MEMBERS_SHOWN);
}

static void add_ports(struct text *text, json_t *protocols)
{
	const char *protocol, *port;
	json_t *ports, *value;

	json_object_foreach(protocols, protocol, ports)
	{
		const char *separator = " ";
		text_add(text, "%s%s", text->length ? "; " : "", protocol);
		json_object_foreach(ports, port, value)
		{
			text_add(text, "%s%s", separator, port);
			separator = ", ";
		}
	}
}

static void make_peers(const struct picture *picture, struct side *side, bool inbound)
{
	const char *name;
	json_t *protocols;

	side->peers = calloc(json_object_size(side->ports) + 1, sizeof(*side->peers));
	json_object_foreach(side->ports, name, protocols)
	{
		if (!side->peers || side->count == PEERS_MAX) {
			side->left_out++;
			continue;
		}
		struct peer *peer = &side->peers[side->count++];
		peer->name = name;
		add_members(picture, &peer->who, name, inbound);
		add_ports(&peer->ports, protocols);
	}
}

static void free_side(struct side *side)
{
	for (size_t i = 0; i < side->count; i++) {
		text_free(&side->peers[i].who);
		text_free(&side->peers[i].ports);
	}
	free(side->peers);
	json_decref(side->ports);
}

/* Boxes with text */

/* How wide a character is at most, in the fonts that browsers have, which are wider or narrower. */
static int width_of(const char *at, int size)
{
	unsigned char first = (unsigned char)*at;

	if ((first & 0xc0) == 0x80)
		return 0;
	if (first >= 0xe0 || strchr("MWmw@%", first))
		return size * 115 / 100;
	return size * (first >= 'A' && first <= 'Z' ? 85 : 70) / 100;
}

/* Bytes of the first line: whole words, but for those that are wider than all of it. */
static size_t line_of(const char *text, int size, int width)
{
	size_t length = 0, space = 0;

	for (int used = 0; text[length]; length++) {
		used += width_of(text + length, size);
		if (text[length] == ' ')
			space = length;
		if (used > width && length)
			break;
	}
	if (text[length] && space)
		return space;
	while (length > 1 && (text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* From y on; NULL: it is but measured. Where the next line begins. */
static int draw_text(FILE *out, int x, int y, int width, const char *kind, const char *text)
{
	char *harmless = text_harmless(text);
	int size = strcmp(kind, "title") == 0 ? TITLE_SIZE : TEXT_SIZE;

	for (const char *at = harmless ? harmless : "?"; *at; y += LINE) {
		size_t length = line_of(at, size, width);
		char *line = strndup(at, length);
		if (out) {
			fprintf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">", kind, x, y + LINE - 5);
			html_text(out, line ? line : "?");
			fputs("</text>", out);
		}
		free(line);
		at += length;
		at += strspn(at, " ");
	}
	free(harmless);
	return y;
}

static int draw_words(FILE *out, int x, int y, int width, const struct peer *peer)
{
	y = draw_text(out, x, y, width, "title", peer->name);
	y = draw_text(out, x, y, width, "who", text_of(&peer->who));
	return draw_text(out, x, y, width, "ports", text_of(&peer->ports));
}

static int height_of(int width, const struct peer *peer)
{
	return draw_words(NULL, 0, 0, width - 2 * PAD, peer) + 2 * PAD;
}

static void draw_box(FILE *out, const char *kind, int x, int y, int width, int height, const struct peer *peer)
{
	fprintf(out, "<rect class=\"%s\" x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\" rx=\"6\"/>", kind, x, y,
		width - 1, height - 1);
	draw_words(out, x + PAD, y + PAD, width - 2 * PAD, peer);
	fputc('\n', out);
}

static void draw_arrow(FILE *out, int x, int y, int to)
{
	fprintf(out, "<path class=\"line\" d=\"M%d %dH%d\"/><path class=\"head\" d=\"M%d %dl-9 -5v10z\"/>\n", x, y,
		to - 8, to, y);
}

static void draw_line(FILE *out, int x, int y, int to)
{
	fprintf(out, "<path class=\"line\" d=\"M%d %dV%d\"/>", x, y, to);
}

static int height_of_side(const struct side *side, int width)
{
	int height = 0;

	for (size_t i = 0; i < side->count; i++)
		height += height_of(width, &side->peers[i]) + (i ? GAP : 0);
	return height;
}

/* From left to right */

static void draw_side(const struct picture *picture, const struct side *side, bool inbound, int y)
{
	const int right = WIDE - WIDE_PEER, middle = (WIDE - WIDE_ROLE) / 2;

	for (size_t i = 0; i < side->count; i++) {
		int height = height_of(WIDE_PEER, &side->peers[i]);
		draw_box(picture->out, "peer", inbound ? 0 : right, y, WIDE_PEER, height, &side->peers[i]);
		if (inbound)
			draw_arrow(picture->out, WIDE_PEER, y + height / 2, middle);
		else
			draw_arrow(picture->out, middle + WIDE_ROLE, y + height / 2, right);
		y += height + GAP;
	}
}

static void draw_wide(const struct picture *picture, const struct peer *role)
{
	int in = height_of_side(&picture->in, WIDE_PEER), out = height_of_side(&picture->out_of, WIDE_PEER),
	    height = height_of(WIDE_ROLE, role);

	height = in > height ? in : height;
	height = out > height ? out : height;
	fprintf(picture->out, "<svg class=\"wide\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDE, height);
	html_text(picture->out, picture->role);
	fputs(": who may reach it, at the left, and what it may reach, at the right\">\n", picture->out);
	fprintf(picture->out, "<rect class=\"role\" x=\"%d.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\"/>",
		(WIDE - WIDE_ROLE) / 2, WIDE_ROLE - 1, height - 1);
	draw_words(picture->out, (WIDE - WIDE_ROLE) / 2 + PAD, (height - height_of(WIDE_ROLE, role)) / 2 + PAD,
		   WIDE_ROLE - 2 * PAD, role);
	draw_side(picture, &picture->in, true, (height - in) / 2);
	draw_side(picture, &picture->out_of, false, (height - out) / 2);
	fputs("</svg>\n", picture->out);
}

/* From top to bottom */

static int draw_stack(const struct picture *picture, const struct side *side, bool inbound, int y)
{
	const int width = NARROW - NARROW_INDENT;
	int last = y;

	for (size_t i = 0; i < side->count; i++) {
		int height = height_of(width, &side->peers[i]), middle = y + height / 2;
		draw_box(picture->out, "peer", NARROW_INDENT, y, width, height, &side->peers[i]);
		if (inbound)
			fprintf(picture->out, "<path class=\"line\" d=\"M%d %dH%d\"/>\n", NARROW_INDENT, middle, BUS);
		else
			draw_arrow(picture->out, BUS, middle, NARROW_INDENT);
		if (inbound && i == 0)
			last = middle;
		if (!inbound)
			last = middle;
		y += height + GAP;
	}
	return last;
}

static void draw_narrow(const struct picture *picture, const struct peer *role)
{
	const int width = NARROW - NARROW_INDENT;
	int in = height_of_side(&picture->in, width), out = height_of_side(&picture->out_of, width),
	    height = height_of(NARROW, role), top = in ? in + 2 * GAP : 0, below = top + height + 2 * GAP;

	fprintf(picture->out, "<svg class=\"narrow\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", NARROW,
		top + height + (out ? out + 2 * GAP : 0));
	html_text(picture->out, picture->role);
	fputs(": who may reach it, above, and what it may reach, below\">\n", picture->out);
	draw_box(picture->out, "role", 0, top, NARROW, height, role);
	if (in) {
		draw_line(picture->out, BUS, draw_stack(picture, &picture->in, true, 0), top - 8);
		fprintf(picture->out, "<path class=\"head\" d=\"M%d %dl-5 -9h10z\"/>\n", BUS, top);
	}
	if (out)
		draw_line(picture->out, BUS, top + height, draw_stack(picture, &picture->out_of, false, below));
	fputs("</svg>\n", picture->out);
}

void export_picture(FILE *out, const json_t *document, const char *role)
{
	struct picture picture = {
		.out = out, .document = document, .role = role, .in.ports = json_object(), .out_of.ports = json_object()
	};
	struct peer middle = { .name = role };

	read_flows(&picture);
	make_peers(&picture, &picture.in, true);
	make_peers(&picture, &picture.out_of, false);
	add_members(&picture, &middle.who, role, true);
	fputs("<figure>\n", out);
	draw_wide(&picture, &middle);
	draw_narrow(&picture, &middle);
	if (picture.in.left_out + picture.out_of.left_out)
		fprintf(out, "<figcaption>%zu more ends are in the tables below.</figcaption>\n",
			picture.in.left_out + picture.out_of.left_out);
	fputs("</figure>\n", out);
	text_free(&middle.who);
	free_side(&picture.in);
	free_side(&picture.out_of);
}
