#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""directory.py SMB_CONF FQDN - the lab's users and groups, written straight into Samba's sam.ldb.

Called once by lab/dc after provisioning. Also does what a running Samba would do by DNS and RPC
later (service names of the domain controller) and relaxes the password rules for the lab.
"""
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

GLOBAL, DOMAIN_LOCAL, UNIVERSAL, DISTRIBUTION = -2147483646, -2147483644, -2147483640, 2

# name: password. alice is an engineer, carol runs the machines, dave's account is disabled.
USERS = {
    "alice": "Al1ce-Passw0rd",
    "bob": "B0b-Passw0rd",
    "carol": "Car0l-Passw0rd",
    "dave": "Dave-Passw0rd",
    "svc-idfw": "Svc-Idfw-Passw0rd",
}
DISABLED = {"dave"}

# name, scope, members (users or groups above it in this list)
GROUPS = (
    ("eng", GLOBAL, ("alice",)),
    ("ops", GLOBAL, ("carol",)),
    ("all-staff", UNIVERSAL, ("eng", "ops")),
    ("res-build", DOMAIN_LOCAL, ("all-staff",)),
    ("news-list", DISTRIBUTION, ("alice", "bob")),
)

ACCOUNT_NORMAL, ACCOUNT_DISABLED = 512, 2


def service_names(sam, fqdn):
    host, domain = fqdn.split(".", 1)
    dn = "CN=%s,OU=Domain Controllers,%s" % (host.upper(), sam.domain_dn())
    names = ["ldap/" + fqdn, "ldap/" + host.upper(), "ldap/%s/%s" % (fqdn, domain),
             "RestrictedKrbHost/" + fqdn]
    sam.modify_ldif("dn: %s\nchangetype: modify\nadd: servicePrincipalName\n" % dn
                    + "".join("servicePrincipalName: %s\n" % n for n in names))


def password_rules(sam):
    rules = {"pwdProperties": 0, "minPwdLength": 4, "pwdHistoryLength": 0, "minPwdAge": 0,
             "maxPwdAge": -9223372036854775808}
    sam.modify_ldif("dn: %s\nchangetype: modify\n" % sam.domain_dn()
                    + "-\n".join("replace: %s\n%s: %d\n" % (k, k, v) for k, v in rules.items()))


def accounts(sam, realm):
    base = sam.domain_dn()
    for ou in ("People", "Groups"):
        sam.add({"dn": "OU=%s,%s" % (ou, base), "objectClass": "organizationalUnit"})
    dns = {}
    for name, password in USERS.items():
        dns[name] = "CN=%s,OU=People,%s" % (name, base)
        control = ACCOUNT_NORMAL | (ACCOUNT_DISABLED if name in DISABLED else 0)
        sam.add({"dn": dns[name], "objectClass": "user", "sAMAccountName": name,
                 "userPrincipalName": "%s@%s" % (name, realm),
                 "userAccountControl": str(control),
                 "unicodePwd": ('"%s"' % password).encode("utf-16-le")})
    for name, scope, members in GROUPS:
        dns[name] = "CN=%s,OU=Groups,%s" % (name, base)
        sam.add({"dn": dns[name], "objectClass": "group", "sAMAccountName": name,
                 "groupType": str(scope), "member": [dns[m] for m in members]})


def main(conf, fqdn):
    lp = LoadParm()
    lp.load(conf)
    sam = SamDB(session_info=system_session(), lp=lp)
    sam.transaction_start()
    try:
        service_names(sam, fqdn)
        password_rules(sam)
        accounts(sam, fqdn.split(".", 1)[1])
    except BaseException:
        sam.transaction_cancel()
        raise
    sam.transaction_commit()


main(sys.argv[1], sys.argv[2])
