/* What the path of a route is: by ASPAs (draft-ietf-sidrops-aspa-verification), and by Only to Customer (RFC 9234).
 *
 * A path is judged once for each attribute set and procedure, when the first route asks; each route has in its record
 * what it was when it was looked at last.
 */

#include "rib/rib_private.h"

enum path_outcome route_path(struct rib *rib, const struct route *route)
{
    enum local_role role = (enum local_role)neighbor_of(rib, route)->role;
    const struct attrs_summary *summary = summary_of(rib, route);
    if (role == ROLE_NONE || !summary->path_at)
        return PATH_UNJUDGED;
    if ((summary->traits & TRAIT_OTHER_FIRST_AS) && role != ROLE_RS_CLIENT)
        return PATH_INVALID;
    return attrs_path_outcome(&rib->attrs, route->attrs, &rib->judging.set,
                              role == ROLE_CUSTOMER ? PATH_DOWNSTREAM : PATH_UPSTREAM);
}

bool route_leak(const struct rib *rib, const struct route *route)
{
    uint16_t traits = summary_of(rib, route)->traits;
    switch ((enum local_role)neighbor_of(rib, route)->role) {
    case ROLE_PROVIDER:
    case ROLE_RS:
        return traits & TRAIT_OTC;
    case ROLE_PEER:
        return traits & TRAIT_OTHER_OTC;
    default:
        return false;
    }
}
