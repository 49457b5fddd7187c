/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_policy.h"
#include "make.h"

static uint64_t dice;

void random_seed(uint64_t seed)
{
	dice = seed;
}

unsigned roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)((dice >> 33) % sides);
}

static void put_address(FILE *out, unsigned host)
{
	fprintf(out, roll(3) ? "10.0.0.%u" : "fd00::%x", host);
}

static void put_range(FILE *out, unsigned from, unsigned to)
{
	unsigned first = from + roll(to - from), last = first + roll(to - first);
	switch (roll(4)) {
	case 0: fprintf(out, "10.0.0.%u-10.0.0.%u", first, last); break;
	case 1: fprintf(out, "fd00::%x-fd00::%x", first, last); break;
	default: put_address(out, first);
	}
	fputc(' ', out);
}

static void put_side(FILE *out, bool target)
{
	static const char *const words[] = { "any", "ADM", "SERVER",          "IH",
					     "MIX", "CA",  "one.example.net", "two.example.net" };
	for (unsigned n = 1 + roll(3); n > 0; n--) {
		if (roll(2))
			fprintf(out, "%s ", words[roll(COUNT_OF(words))]);
		else if (roll(3) == 0)
			fputs(roll(2) ? "10.0.0.16/29 " : "0.0.0.0/0 ", out);
		else
			put_range(out, target ? 8 : 0, 28);
	}
	fputc('\n', out);
}

unsigned some_port(void)
{
	static const unsigned ports[] = { 1, 2, 3, 53, 79, 80, 81, 443, 444, 993, 8470, 65534, 65535, 40000 };
	return ports[roll(COUNT_OF(ports))];
}

static void put_ports(FILE *out)
{
	fputs("port = ", out);
	for (unsigned n = 1 + roll(3); n > 0; n--) {
		unsigned first = some_port(), last = some_port();
		if (roll(2) || last < first)
			fprintf(out, "%u ", first);
		else
			fprintf(out, "%u-%u ", first, last);
	}
	fputc('\n', out);
}

static void put_flows(FILE *out)
{
	static const char *const built_in[] = { "crl",         "https-in",   "imaps-in", "imaps-out", "ews-out",
						"license-out", "console-in", "ping",     "dns-out" };
	static const char *const protocols[] = { "tcp", "tcp", "udp", "icmp-echo" };

	for (size_t i = 0; i < COUNT_OF(built_in); i++) {
		if (roll(2))
			continue;
		fprintf(out, "[flow %s]\n", built_in[i]);
		if (roll(3) == 0)
			fprintf(out, "enabled = %s\n", roll(2) ? "yes" : "no");
		if (roll(3) == 0) {
			fputs("from = ", out);
			put_side(out, false);
		}
		if (roll(3) == 0) {
			fputs("to = ", out);
			put_side(out, true);
		}
		if (roll(3) == 0 && strcmp(built_in[i], "ping") != 0)
			put_ports(out);
	}
	for (unsigned i = roll(7); i > 0; i--) {
		unsigned protocol = roll(COUNT_OF(protocols));
		fprintf(out, "[flow own-%u]\nfrom = ", i);
		put_side(out, false);
		fputs("to = ", out);
		put_side(out, true);
		fprintf(out, "protocol = %s\n", protocols[protocol]);
		if (protocol < 3)
			put_ports(out);
	}
}

static void put_ephemeral(FILE *out)
{
	static const char *const ports[] = { "40000", "40000 50000-65535", "1-65535", "3 8470 65535", "2-443" };

	if (roll(3))
		fprintf(out, "\nephemeral_ports = %s", ports[roll(COUNT_OF(ports))]);
}

static void put_gateway(FILE *out, bool everything)
{
	static const char *const interceptions[] = { "prevent", "off", "block", "report" };

	fprintf(out, "[gateway]\npreset = %s\nearly_drop = %s\ninterception = %s\n", roll(2) ? "none" : "single-server",
		roll(4) ? "yes" : "no", interceptions[roll(everything ? 4 : 2)]);
	if (roll(2))
		fprintf(out, "reject =%s%s%s\n", roll(2) ? " ADM" : "", roll(3) ? "" : " MIX",
			roll(2) ? roll(2) ? " SERVER" : " IH" : "");
	if (!everything)
		return;
	fprintf(out, "mode = %s\n", roll(6) ? "enforce" : "audit");
	if (roll(3) == 0) {
		fputs("nat_except = ", out);
		put_range(out, 0, 30);
		fputc('\n', out);
	}
}

char *random_config(bool everything)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	put_gateway(out, everything);
	fputs("[server]\naddress = ", out);
	for (unsigned n = 1 + roll(2); n > 0; n--)
		put_range(out, 16, 20);
	put_ephemeral(out);
	fputs("\nresolvers = 10.0.0.3 fd00::3\n[role IH]\nmembers = ", out);
	put_range(out, 20, 24);
	put_range(out, 24, 28);
	fputs(roll(3) ? "\nprotected = yes" : "", out);
	put_ephemeral(out);
	fputc('\n', out);
	fputs("[role ADM]\nmembers = ", out);
	put_range(out, 0, 24);
	fputs(roll(2) ? "one.example.net\n" : "\n", out);
	fputs("[role MIX]\nmembers = ", out);
	put_range(out, 0, 28);
	fputs(roll(2) ? "IH " : "SERVER ", out);
	fputs(roll(2) ? "two.example.net ADM\n" : "\n", out);
	put_flows(out);
	assert_int_equal(fclose(out), 0);
	return text;
}

struct names_view random_names(const struct policy *policy)
{
	char text[600] = "";
	for (size_t i = 0; i < policy->name_count; i++) {
		unsigned a = roll(16), b = 28 + roll(4);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s 10.0.0.%u fd00::%x%s;",
			 policy->names[i].name, a, b, roll(2) ? " 10.0.0.30" : "");
	}
	return make_names(policy, text);
}

void add_random_grants(const struct policy *policy, struct names_view *view)
{
	char text[1000] = "";
	for (unsigned i = roll(2) ? roll(8) : 0; i > 0; i--)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), roll(2) ? "%s 10.0.0.%u;" : "%s fd00::%x;",
			 policy->flows[roll((unsigned)policy->flow_count)].id, roll(32));
	make_grants(policy, view, text);
}
