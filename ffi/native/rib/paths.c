/* What the path of a route is: by ASPAs (draft-ietf-sidrops-aspa-verification), and by Only to Customer (RFC 9234).
 *
 * A path is judged once for each attribute set and procedure, when the first route asks; each route has in its record
 * what it was when it was looked at last.
 */

#include "rib/rib_private.h"

enum path_outcome path_of(struct rib *rib, uint32_t neighbor, uint32_t attrs)
{
    enum local_role role = (enum local_role)rib->neighbors[neighbor].role;
    const struct attrs_summary *summary = &rib->attrs.sets[attrs].summary;
    if (role == ROLE_NONE || !summary->path_at)
        return PATH_UNJUDGED;
    if ((summary->traits & TRAIT_OTHER_FIRST_AS) && role != ROLE_RS_CLIENT)
        return PATH_INVALID;
    return attrs_path_outcome(&rib->attrs, attrs, &rib->judging.set,
                              role == ROLE_CUSTOMER ? PATH_DOWNSTREAM : PATH_UPSTREAM);
}

enum path_outcome route_path(struct rib *rib, const struct route *route)
{
    return path_of(rib, route->neighbor, route->attrs);
}

bool leak_of(const struct rib *rib, uint32_t neighbor, uint32_t attrs)
{
    uint16_t traits = rib->attrs.sets[attrs].summary.traits;
    switch ((enum local_role)rib->neighbors[neighbor].role) {
    case ROLE_PROVIDER:
    case ROLE_RS:
        return traits & TRAIT_OTC;
    case ROLE_PEER:
        return traits & TRAIT_OTHER_OTC;
    default:
        return false;
    }
}

bool route_leak(const struct rib *rib, const struct route *route)
{
    return leak_of(rib, route->neighbor, route->attrs);
}
