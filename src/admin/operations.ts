/**
 * THE table of the admin API: method, path, the admin action that is demanded before anything is done, its handler. `own` marks
 * operations whose handler asks by itself, because one's own account needs less. What MinIO has and this release has not
 * answers NotImplemented here. Source: admin API §3.
 */
import {
  changeServiceAccount,
  createServiceAccount,
  deleteServiceAccount,
  infoAccessKey,
  infoServiceAccount,
  infoTemporaryAccount,
  listAccessKeys,
  listServiceAccounts,
  revokeTokens,
} from "./access-keys.ts";
import { getBucketQuota, setBucketQuota } from "./bucket-operations.ts";
import { exportBucketMetadata } from "./bucket-export.ts";
import { importBucketMetadata } from "./bucket-import.ts";
import type { AdminCall, AdminReply } from "./call.ts";
import { accountInfo, dataUsageInfo, serverInfo, storageInfo } from "./cluster-info.ts";
import {
  clearConfigHistory,
  deleteConfig,
  exportConfig,
  getConfig,
  helpConfig,
  importConfig,
  listConfigHistory,
  restoreConfigHistory,
  setConfig,
} from "./config-operations.ts";
import { AdminError } from "./errors.ts";
import { exportIam, importIam, importIamV2 } from "./iam-export.ts";
import { deleteIdpConfig, getIdpConfig, listIdpConfigs, setIdpConfig } from "./idp-config.ts";
import {
  addCannedPolicy,
  changePolicies,
  infoCannedPolicy,
  listCannedPolicies,
  policyEntities,
  removeCannedPolicy,
  setUserOrGroupPolicy,
} from "./policy-attachment.ts";
import { listRemoteTargets, removeRemoteTarget, setRemoteTarget } from "./remote-targets.ts";
import { createKmsKey, kmsKeyStatus, kmsStatus, kmsVersion, listKmsKeys } from "./kms-operations.ts";
import { service } from "./service-operations.ts";
import {
  addUser,
  changeGroupStatus,
  changeUserStatus,
  deleteUser,
  getGroup,
  getUserInfo,
  listGroups,
  listUsers,
  updateGroupMembers,
} from "./users.ts";

export interface AdminOperation {
  readonly method: string;
  /** Below the version; `*` stands for one segment, a name. */
  readonly path: readonly string[];
  /** Without "admin:"; null = the handler asks. */
  readonly action: string | null;
  readonly run: (call: AdminCall) => Promise<AdminReply>;
}

const own = null;
function op(method: string, path: string, action: string | null, run: AdminOperation["run"]): AdminOperation {
  return { method, path: path.split("/"), action, run };
}

function notImplemented(): Promise<AdminReply> {
  throw new AdminError("NotImplemented", "This admin operation is not implemented.");
}
const missing = (method: string, path: string, action: string): AdminOperation =>
  op(method, path, action, notImplemented);

export const ADMIN_OPERATIONS: readonly AdminOperation[] = [
  op("GET", "info", "ServerInfo", serverInfo),
  op("GET", "storageinfo", "StorageInfo", storageInfo),
  op("GET", "datausageinfo", "DataUsageInfo", dataUsageInfo),
  op("GET", "accountinfo", own, accountInfo),
  op("POST", "service", own, service),

  op("GET", "get-config-kv", "ConfigUpdate", getConfig),
  op("PUT", "set-config-kv", "ConfigUpdate", setConfig),
  op("DELETE", "del-config-kv", "ConfigUpdate", deleteConfig),
  op("GET", "help-config-kv", "ConfigUpdate", helpConfig),
  op("GET", "list-config-history-kv", "ConfigUpdate", listConfigHistory),
  op("PUT", "restore-config-history-kv", "ConfigUpdate", restoreConfigHistory),
  op("DELETE", "clear-config-history-kv", "ConfigUpdate", clearConfigHistory),
  op("GET", "config", "ConfigUpdate", exportConfig),
  op("PUT", "config", "ConfigUpdate", importConfig),
  op("GET", "idp-config/*", "ConfigUpdate", listIdpConfigs),
  op("GET", "idp-config/*/*", "ConfigUpdate", getIdpConfig),
  op("PUT", "idp-config/*/*", "ConfigUpdate", setIdpConfig("add")),
  op("POST", "idp-config/*/*", "ConfigUpdate", setIdpConfig("update")),
  op("DELETE", "idp-config/*/*", "ConfigUpdate", deleteIdpConfig),

  op("PUT", "add-user", own, addUser),
  op("DELETE", "remove-user", "DeleteUser", deleteUser),
  op("GET", "list-users", "ListUsers", listUsers),
  op("GET", "user-info", own, getUserInfo),
  op("PUT", "set-user-status", "EnableUser", changeUserStatus),
  op("PUT", "update-group-members", "AddUserToGroup", updateGroupMembers),
  op("GET", "group", "GetGroup", getGroup),
  op("GET", "groups", "ListGroups", listGroups),
  op("PUT", "set-group-status", "EnableGroup", changeGroupStatus),
  op("PUT", "add-canned-policy", "CreatePolicy", addCannedPolicy),
  op("GET", "info-canned-policy", "GetPolicy", infoCannedPolicy),
  op("GET", "list-canned-policies", "ListUserPolicies", listCannedPolicies),
  op("DELETE", "remove-canned-policy", "DeletePolicy", removeCannedPolicy),
  op("PUT", "set-user-or-group-policy", "AttachUserOrGroupPolicy", setUserOrGroupPolicy),
  op("POST", "idp/builtin/policy/attach", own, changePolicies("attach", "builtin")),
  op("POST", "idp/builtin/policy/detach", own, changePolicies("detach", "builtin")),
  op("GET", "idp/builtin/policy-entities", own, policyEntities),
  op("POST", "idp/ldap/policy/attach", own, changePolicies("attach", "ldap")),
  op("POST", "idp/ldap/policy/detach", own, changePolicies("detach", "ldap")),
  op("GET", "idp/ldap/policy-entities", own, policyEntities),

  op("PUT", "add-service-account", own, createServiceAccount),
  op("POST", "update-service-account", own, changeServiceAccount),
  op("GET", "info-service-account", own, infoServiceAccount),
  op("GET", "list-service-accounts", own, listServiceAccounts),
  op("DELETE", "delete-service-account", own, deleteServiceAccount),
  op("GET", "info-access-key", own, infoAccessKey),
  op("GET", "temporary-account-info", "ListTemporaryAccounts", infoTemporaryAccount),
  op("GET", "list-access-keys-bulk", own, listAccessKeys),
  op("POST", "revoke-tokens/*", own, revokeTokens),
  op("GET", "export-iam", "ExportIAM", exportIam),
  op("PUT", "import-iam", "ImportIAM", importIam),
  op("PUT", "import-iam-v2", "ImportIAM", importIamV2),

  op("GET", "get-bucket-quota", "GetBucketQuota", getBucketQuota),
  op("PUT", "set-bucket-quota", "SetBucketQuota", setBucketQuota),
  op("GET", "list-remote-targets", "GetBucketTarget", listRemoteTargets),
  op("DELETE", "remove-remote-target", "SetBucketTarget", removeRemoteTarget),
  op("PUT", "set-remote-target", "SetBucketTarget", setRemoteTarget),
  op("GET", "export-bucket-metadata", "ExportBucketMetadata", exportBucketMetadata),
  op("PUT", "import-bucket-metadata", "ImportBucketMetadata", importBucketMetadata),

  missing("POST", "update", "ServerUpdate"),
  missing("POST", "heal", "Heal"),
  missing("POST", "heal/*", "Heal"),
  missing("POST", "background-heal/status", "Heal"),
  missing("GET", "pools/list", "ServerInfo"),
  missing("GET", "pools/status", "ServerInfo"),
  missing("POST", "pools/decommission", "Decommission"),
  missing("POST", "pools/cancel", "Decommission"),
  missing("POST", "rebalance/start", "Rebalance"),
  missing("GET", "rebalance/status", "Rebalance"),
  missing("POST", "rebalance/stop", "Rebalance"),
  missing("GET", "top/locks", "TopLocksInfo"),
  missing("POST", "force-unlock", "ForceUnlock"),
  missing("GET", "metrics", "ServerInfo"),
  missing("GET", "trace", "ServerTrace"),
  missing("GET", "log", "ConsoleLog"),
  missing("POST", "replication/diff", "ReplicationDiff"),
  missing("GET", "replication/mrf", "ReplicationDiff"),
  ...["", "/object", "/drive", "/net", "/site"].map((kind) => missing("POST", `speedtest${kind}`, "OBDInfo")),
  missing("GET", "inspect-data", "InspectData"),
  missing("POST", "inspect-data", "InspectData"),
  missing("POST", "profile", "Profiling"),
  missing("POST", "start-job", "StartBatchJob"),
  missing("GET", "list-jobs", "ListBatchJobs"),
  missing("GET", "status-job", "ListBatchJobs"),
  missing("GET", "describe-job", "DescribeBatchJob"),
  missing("DELETE", "cancel-job", "CancelBatchJob"),
  missing("PUT", "tier", "SetTier"),
  missing("GET", "tier", "ListTier"),
  missing("GET", "tier-stats", "ListTier"),
  ...["GET", "POST", "DELETE"].map((method) => missing(method, "tier/*", "SetTier")),
  missing("GET", "idp/ldap/list-access-keys", "ListServiceAccounts"),
  missing("GET", "idp/ldap/list-access-keys-bulk", "ListServiceAccounts"),
  missing("PUT", "idp/ldap/add-service-account", "CreateServiceAccount"),
  missing("GET", "idp/openid/list-access-keys-bulk", "ListServiceAccounts"),
  missing("GET", "healthinfo", "OBDInfo"),
  missing("GET", "obdinfo", "OBDInfo"),
  ...["GET", "PUT"].map((method) => missing(method, "site-replication/*", "SiteReplicationInfo")),
  op("POST", "kms/status", "KMSKeyStatus", kmsStatus),
  op("POST", "kms/key/create", "KMSCreateKey", createKmsKey),
  op("GET", "kms/key/status", "KMSKeyStatus", kmsKeyStatus),
];

/** Below `/minio/kms/v1/`. */
export const KMS_OPERATIONS: readonly AdminOperation[] = [
  op("GET", "status", own, kmsStatus),
  op("GET", "version", own, kmsVersion),
  op("GET", "metrics", own, notImplemented),
  op("GET", "apis", own, notImplemented),
  op("POST", "key/create", own, createKmsKey),
  op("GET", "key/list", own, listKmsKeys),
  op("GET", "key/status", own, kmsKeyStatus),
];

type Table = ReadonlyMap<string, readonly AdminOperation[]>;
const byLength = (operations: readonly AdminOperation[]): Table =>
  Map.groupBy(operations, (operation) => `${operation.method} ${operation.path.length}`);
const TABLES: Readonly<Record<"admin" | "kms", Table>> = {
  admin: byLength(ADMIN_OPERATIONS),
  kms: byLength(KMS_OPERATIONS),
};

/** The row of a path below the version, and the names in it. */
export function findAdminOperation(
  method: string,
  path: string,
  api: "admin" | "kms" = "admin",
): { readonly operation: AdminOperation; readonly names: readonly string[] } | null {
  const segments = path.replace(/\/+$/, "").split("/");
  for (const operation of TABLES[api].get(`${method} ${segments.length}`) ?? []) {
    if (!operation.path.every((wanted, i) => (wanted === "*" ? segments[i] !== "" : wanted === segments[i]))) continue;
    return { operation, names: segments.filter((_, i) => operation.path[i] === "*") };
  }
  return null;
}
