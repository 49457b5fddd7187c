/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"
#include "array.h"

#include <errno.h>

/* One packet, and the first answer to it, as a base chain of another table sees them. */

static bool has_ports(uint8_t protocol)
{
	return protocol == 6 || protocol == 17;
}

static const char *interface_at(const struct interface_list *list, size_t index)
{
	return list->count ? list->names[index] : NULL;
}

static size_t count_ways(const struct interface_list *list)
{
	return list->count ? list->count : 1;
}

static int add_one(struct judging *j, struct boxes *boxes, const struct box_ends *ends)
{
	struct box box = make_box(j, ends);

	box.inbound = ranges_contains(&j->policy->protected_all, &j->packet->target) ||
		      !ranges_contains(&j->policy->protected_all, &j->packet->source);
	return ARRAY_PUSH(boxes, box) < 0 ? -ENOMEM : 0;
}

/* By each interface of the one side and each of the other. An answer goes the other way round. */
static int add_ways(struct judging *j, struct boxes *boxes, struct box_ends *ends, const struct interface_list *in,
		    const struct interface_list *out)
{
	bool comes = !ends->from_gateway && !j->base->interfaces_unknown;
	bool leaves = (j->base->place == PLACE_FORWARD || j->base->place == PLACE_POSTROUTING ||
		       j->base->place == PLACE_OUTPUT) &&
		      !j->base->interfaces_unknown;
	size_t first = boxes->count;
	int r = 0;

	for (size_t i = 0; r == 0 && i < (comes ? count_ways(in) : 1); i++) {
		for (size_t o = 0; r == 0 && o < (leaves ? count_ways(out) : 1); o++) {
			ends->in = comes ? interface_at(in, i) : NULL;
			ends->out = leaves ? interface_at(out, o) : NULL;
			r = add_one(j, boxes, ends);
		}
	}
	number_ways(boxes, first);
	return r;
}

/* Whether what goes from the one to the other, of which the gateway itself may be one, comes to this place. */
static bool comes_here(enum place place, bool from_gateway, bool to_gateway)
{
	switch (place) {
	case PLACE_INGRESS:
	case PLACE_PREROUTING: return !from_gateway;
	case PLACE_INPUT: return to_gateway;
	case PLACE_FORWARD: return !from_gateway && !to_gateway;
	case PLACE_OUTPUT: return from_gateway;
	case PLACE_POSTROUTING:
	case PLACE_EGRESS: return !to_gateway;
	default: return false;
	}
}

int add_packet_boxes(struct judging *j, struct boxes *boxes)
{
	static const struct port_range usual = { 49152, 60999 }; /* a client's; of Windows and of Linux */
	const struct foreign_packet *packet = j->packet;
	struct range source = range_of(&packet->source), target = range_of(&packet->target);
	struct port_range from = { packet->source_port, packet->source_port },
			  to = { packet->target_port, packet->target_port };
	bool ported = has_ports(packet->protocol);
	int r = 0;

	if (j->base->family == (source.first.family == FAMILY_4 ? FOREIGN_FAMILY_IP6 : FOREIGN_FAMILY_IP))
		return 0;
	if (!packet->source_port)
		from = usual;
	for (int reply = 0; reply < (j->base->nat ? 1 : 2) && r == 0; reply++) {
		const struct range *first = reply ? &target : &source, *last = reply ? &source : &target;
		bool by_gateway = ranges_contains(j->view->environment->gateway, &first->first);
		bool for_gateway = ranges_contains(j->view->environment->gateway, &last->first);
		struct box_ends ends = { .source = first,
					 .target = last,
					 .protocol = packet->protocol,
					 .source_ports = !ported ? NULL
							 : reply ? &to
								 : &from,
					 .target_ports = !ported ? NULL
							 : reply ? &from
								 : &to,
					 .reply = reply,
					 .from_gateway = by_gateway };
		if (comes_here(j->base->place, by_gateway, for_gateway))
			r = add_ways(j, boxes, &ends, reply ? &packet->out : &packet->in,
				     reply ? &packet->in : &packet->out);
	}
	return r;
}
