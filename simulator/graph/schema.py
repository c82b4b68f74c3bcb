"""Which properties Graph knows of each type, which it gives unasked, and which are
lists (names from the v1.0 metadata).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.graph.wire import GraphError, bad_request


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    """`user`, `group`, ..."""
    collection: str
    """What a context URL calls a list of them."""
    default: tuple[str, ...]
    known: frozenset[str]
    lists: frozenset[str]
    relations: frozenset[str]
    not_in_main_store: frozenset[str] = frozenset()
    """Cannot be tracked by delta: 501 (graph-api, delta queries)."""

    def check(self, names: Sequence[str]) -> None:
        """Refuse a property the type does not have, as Graph does."""
        for name in names:
            if name not in self.known and name not in self.relations and not name.startswith("extension_"):
                raise bad_request(
                    f"Could not find a property named '{name}' on type 'microsoft.graph.{self.name}'."
                )

    def empty(self, name: str) -> list[str] | None:
        """Return what a property without value looks like: null, or an empty list."""
        return [] if name in self.lists else None

    def check_trackable(self, names: Sequence[str]) -> None:
        """Refuse to track what delta cannot track."""
        for name in names:
            if name in self.not_in_main_store:
                raise GraphError(
                    501, "NotImplemented", f"The property '{name}' is not supported in a delta query."
                )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_USER_LISTS = _words(
    """assignedLicenses assignedPlans businessPhones identities imAddresses interests licenseAssignmentStates
    onPremisesProvisioningErrors otherMails pastProjects provisionedPlans proxyAddresses responsibilities
    schools
    serviceProvisioningErrors skills"""
)

_USER_SCALARS = _words(
    """aboutMe accountEnabled ageGroup birthday city companyName consentProvidedForMinor country
    createdDateTime creationType deletedDateTime department displayName employeeHireDate employeeId
    employeeLeaveDateTime employeeOrgData employeeType externalUserState externalUserStateChangeDateTime
    faxNumber givenName hireDate id isManagementRestricted isResourceAccount jobTitle
    lastPasswordChangeDateTime legalAgeGroupClassification mail mailNickname mobilePhone mySite
    officeLocation onPremisesDistinguishedName onPremisesDomainName onPremisesExtensionAttributes
    onPremisesImmutableId onPremisesLastSyncDateTime onPremisesSamAccountName onPremisesSecurityIdentifier
    onPremisesSyncEnabled onPremisesUserPrincipalName passwordPolicies passwordProfile postalCode
    preferredDataLocation preferredLanguage preferredName securityIdentifier showInAddressList
    signInSessionsValidFromDateTime state streetAddress surname usageLocation userPrincipalName userType"""
)

USER = Schema(
    name="user",
    collection="users",
    default=_words(
        """businessPhones displayName givenName id jobTitle mail mobilePhone officeLocation
        preferredLanguage surname
        userPrincipalName"""
    ),
    known=frozenset(_USER_SCALARS + _USER_LISTS),
    lists=frozenset(_USER_LISTS),
    relations=frozenset(
        _words(
            "manager directReports memberOf transitiveMemberOf appRoleAssignments ownedObjects licenseDetails"
        )
    ),
    not_in_main_store=frozenset(
        _words(
            """aboutMe birthday hireDate interests mySite pastProjects preferredName responsibilities schools
            skills"""
        )
    ),
)

_GROUP_LISTS = _words(
    """assignedLabels assignedLicenses groupTypes infoCatalogs onPremisesProvisioningErrors proxyAddresses
    resourceBehaviorOptions resourceProvisioningOptions serviceProvisioningErrors"""
)

_GROUP_DEFAULT = _words(
    """id deletedDateTime classification createdDateTime description displayName expirationDateTime groupTypes
    isAssignableToRole mail mailEnabled mailNickname membershipRule membershipRuleProcessingState
    onPremisesDomainName onPremisesLastSyncDateTime onPremisesNetBiosName onPremisesSamAccountName
    onPremisesSecurityIdentifier onPremisesSyncEnabled preferredDataLocation preferredLanguage
    proxyAddresses renewedDateTime resourceBehaviorOptions resourceProvisioningOptions securityEnabled
    securityIdentifier theme
    uniqueName visibility onPremisesProvisioningErrors serviceProvisioningErrors"""
)

GROUP = Schema(
    name="group",
    collection="groups",
    default=_GROUP_DEFAULT,
    known=frozenset(
        _GROUP_DEFAULT
        + _GROUP_LISTS
        + _words(
            """allowExternalSenders autoSubscribeNewMembers hasMembersWithLicenseErrors hideFromAddressLists
            hideFromOutlookClients isArchived isManagementRestricted isSubscribedByMail licenseProcessingState
            organizationId unseenCount welcomeMessageEnabled"""
        )
    ),
    lists=frozenset(_GROUP_LISTS),
    relations=frozenset(
        _words("members owners memberOf transitiveMembers transitiveMemberOf appRoleAssignments")
    ),
    not_in_main_store=frozenset(
        _words(
            "allowExternalSenders autoSubscribeNewMembers hideFromAddressLists isSubscribedByMail unseenCount"
        )
    ),
)

_DEVICE = _words(
    """id deletedDateTime accountEnabled deviceId displayName operatingSystem
    operatingSystemVersion trustType"""
)
_CONTACT = _words("id deletedDateTime displayName givenName surname mail companyName jobTitle")
_MEMBER_PRINCIPAL = _words(
    "id deletedDateTime accountEnabled appId appDisplayName displayName servicePrincipalType"
)


def _other(name: str, collection: str, properties: tuple[str, ...]) -> Schema:
    return Schema(name, collection, properties, frozenset(properties), frozenset(), frozenset())


OTHERS: Mapping[str, Schema] = {
    "device": _other("device", "devices", _DEVICE),
    "orgContact": _other("orgContact", "contacts", _CONTACT),
    "servicePrincipal": _other("servicePrincipal", "servicePrincipals", _MEMBER_PRINCIPAL),
}
"""What else can be a member of a group."""

MIXED = Schema(
    name="directoryObject",
    collection="directoryObjects",
    default=(),
    known=USER.known | GROUP.known | frozenset(_DEVICE + _CONTACT + _MEMBER_PRINCIPAL),
    lists=USER.lists | GROUP.lists,
    relations=USER.relations | GROUP.relations,
)
"""A list of users and groups together."""

_PRINCIPAL_LISTS = _words(
    """addIns alternativeNames appRoles keyCredentials notificationEmailAddresses oauth2PermissionScopes
    passwordCredentials replyUrls resourceSpecificApplicationPermissions servicePrincipalNames tags"""
)

_PRINCIPAL_DEFAULT = (
    _words(
        """id deletedDateTime accountEnabled appDescription appDisplayName appId applicationTemplateId
        appOwnerOrganizationId appRoleAssignmentRequired description disabledByMicrosoftStatus displayName
        homepage loginUrl logoutUrl notes preferredSingleSignOnMode servicePrincipalType signInAudience
        tokenEncryptionKeyId
        info samlSingleSignOnSettings verifiedPublisher"""
    )
    + _PRINCIPAL_LISTS
)

SERVICE_PRINCIPAL = Schema(
    name="servicePrincipal",
    collection="servicePrincipals",
    default=_PRINCIPAL_DEFAULT,
    known=frozenset(_PRINCIPAL_DEFAULT)
    | {"createdByAppId", "isDisabled", "preferredTokenSigningKeyThumbprint"},
    lists=frozenset(_PRINCIPAL_LISTS),
    relations=frozenset(_words("appRoleAssignedTo appRoleAssignments memberOf owners synchronization")),
)

_APPLICATION = _words("id appId displayName passwordCredentials")

APPLICATION = Schema(
    "application", "applications", _APPLICATION, frozenset(_APPLICATION), frozenset(), frozenset()
)

_ASSIGNMENT = _words(
    """id deletedDateTime appRoleId createdDateTime principalDisplayName principalId principalType
    resourceDisplayName resourceId"""
)

ASSIGNMENT = Schema(
    "appRoleAssignment", "appRoleAssignments", _ASSIGNMENT, frozenset(_ASSIGNMENT), frozenset(), frozenset()
)

_ORGANIZATION_LISTS = _words(
    """assignedPlans businessPhones marketingNotificationEmails provisionedPlans
    securityComplianceNotificationMails
    securityComplianceNotificationPhones technicalNotificationMails verifiedDomains"""
)

_ORGANIZATION = (
    _words(
        """id deletedDateTime city country countryLetterCode createdDateTime defaultUsageLocation displayName
        onPremisesLastSyncDateTime onPremisesSyncEnabled partnerTenantType postalCode preferredLanguage
        privacyProfile
        state street tenantType"""
    )
    + _ORGANIZATION_LISTS
)

ORGANIZATION = Schema(
    "organization",
    "organization",
    _ORGANIZATION,
    frozenset(_ORGANIZATION),
    frozenset(_ORGANIZATION_LISTS),
    frozenset(),
)

ANY = Schema("any", "any", (), frozenset(), frozenset(), frozenset())
"""For lists whose properties are not modelled; `$select` is not offered there."""
