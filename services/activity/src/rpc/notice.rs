//! Members' notices.

use proto::activity::v1::{self as pb, notice_service_server::NoticeService};
use runtime::{Access, Fields};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Place, call, community, fields, member,
    notice_detail::{self, encode_detail},
    optional_enumeration, own, resource,
};
use crate::{
    Activity,
    domain::{
        Community,
        notice::{Notice, NoticeClass},
    },
    notice::Told,
    store::notice::NoticeFilter,
};

const MOST_RECORDED: usize = 100;
const MOST_MARKED: usize = 1_000;
const MOST_MUTED: usize = 16;
const PREFERENCES: &str = "/noticePreferences";

/// The service as the contract names it.
pub(super) struct NoticeRpc(pub(super) Activity);

#[tonic::async_trait]
impl NoticeService for NoticeRpc {
    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        list(&self.0, request).await.map(Response::new)
    }

    async fn record_notices(
        &self,
        request: Request<pb::RecordNoticesRequest>,
    ) -> Result<Response<pb::RecordNoticesResponse>, Status> {
        record(&self.0, request).await.map(Response::new)
    }

    async fn mark_notices_read(
        &self,
        request: Request<pb::MarkNoticesReadRequest>,
    ) -> Result<Response<pb::MarkNoticesReadResponse>, Status> {
        mark_read(&self.0, request).await.map(Response::new)
    }

    async fn get_notice_preferences(
        &self,
        request: Request<pb::GetNoticePreferencesRequest>,
    ) -> Result<Response<pb::NoticePreferences>, Status> {
        get_preferences(&self.0, request).await.map(Response::new)
    }

    async fn set_notice_preferences(
        &self,
        request: Request<pb::SetNoticePreferencesRequest>,
    ) -> Result<Response<pb::NoticePreferences>, Status> {
        set_preferences(&self.0, request).await.map(Response::new)
    }
}

async fn list(
    activity: &Activity,
    request: Request<pb::ListNoticesRequest>,
) -> Result<pb::ListNoticesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, member) = resource(&mut fields, "parent", &request.parent, "members");
    let class = optional_enumeration(&mut fields, "class", request.class).and_then(read_class);
    let query = format!(
        "ListNotices {} {} {}",
        request.parent, request.class, request.unread_only
    );
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let filter = NoticeFilter {
        community,
        member,
        class,
        unread_only: request.unread_only,
    };
    let before = place.after.unwrap_or(Uuid::max());
    let page = activity.list_notices(filter, before, place.size).await?;
    Ok(pb::ListNoticesResponse {
        next_page_token: place.next_page_token(&page),
        notices: page
            .items
            .iter()
            .map(|notice| encode(community, notice))
            .collect(),
    })
}

async fn record(
    activity: &Activity,
    request: Request<pb::RecordNoticesRequest>,
) -> Result<pb::RecordNoticesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let count = request.notices.len();
    let why = format!("1 to {MOST_RECORDED} of them, not {count}");
    fields.check("notices", (1..=MOST_RECORDED).contains(&count), why);
    let notices = request.notices.into_iter().take(MOST_RECORDED).enumerate();
    let told: Vec<Told> = notices
        .filter_map(|(index, notice)| {
            let item = || format!("notices[{index}]");
            fields.item(item, |fields| {
                notice_detail::read(fields, community, notice)
            })
        })
        .collect();
    fields.finish()?;
    activity.record_notices(community, told).await?;
    Ok(pb::RecordNoticesResponse {})
}

async fn mark_read(
    activity: &Activity,
    request: Request<pb::MarkNoticesReadRequest>,
) -> Result<pb::MarkNoticesReadResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, member) = resource(&mut fields, "parent", &request.parent, "members");
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "MarkNoticesRead", &request);
    let count = request.names.len();
    let why = format!("1 to {MOST_MARKED} of them, not {count}");
    fields.check("names", (1..=MOST_MARKED).contains(&count), why);
    let names = request.names.iter().take(MOST_MARKED).enumerate();
    let ids: Vec<Uuid> = names
        .map(|(index, name)| {
            let field = format!("names[{index}]");
            let pattern = ["communities", "members", "notices"];
            let [of, whose, id] = fields.name(&field, name, pattern);
            let known = !of.is_nil() && !community.0.is_nil();
            let another = known && (of, whose) != (community.0, member);
            fields.check(&field, !another, "is another member's than the parent");
            id
        })
        .collect();
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let unread = activity.mark_notices_read(&call, member, &ids).await?;
    Ok(pb::MarkNoticesReadResponse { unread })
}

async fn get_preferences(
    activity: &Activity,
    request: Request<pb::GetNoticePreferencesRequest>,
) -> Result<pb::NoticePreferences, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, member) = preferences_of(&mut fields, &request.get_ref().name);
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let muted = activity.get_notice_preferences(community, member).await?;
    Ok(encode_preferences(community, member, &muted))
}

async fn set_preferences(
    activity: &Activity,
    request: Request<pb::SetNoticePreferencesRequest>,
) -> Result<pb::NoticePreferences, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, member) = preferences_of(&mut fields, &request.name);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "SetNoticePreferences", &request);
    let count = request.muted_classes.len();
    let why = format!("at most {MOST_MUTED} of them, not {count}");
    fields.check("muted_classes", count <= MOST_MUTED, why);
    let classes = request.muted_classes.iter().take(MOST_MUTED).enumerate();
    let mut muted: Vec<NoticeClass> = classes
        .filter_map(|(index, class)| {
            let field = format!("muted_classes[{index}]");
            read_class(fields.enumeration(&field, *class)?)
        })
        .collect();
    muted.sort_unstable();
    muted.dedup();
    fields.finish()?;
    own::member(activity, &access, community, member).await?;
    let muted = activity
        .set_notice_preferences(&call, member, muted)
        .await?;
    Ok(encode_preferences(community, member, &muted))
}

/// Reads `communities/{community}/members/{member}/noticePreferences`.
fn preferences_of(fields: &mut Fields, name: &str) -> (Community, Uuid) {
    match name.strip_suffix(PREFERENCES) {
        Some(member) => resource(fields, "name", member, "members"),
        None => {
            let why = "not of the form communities/{uuid}/members/{uuid}/noticePreferences";
            fields.fail("name", if name.is_empty() { "required" } else { why });
            (Community(Uuid::nil()), Uuid::nil())
        }
    }
}

fn read_class(class: pb::NoticeClass) -> Option<NoticeClass> {
    match class {
        pb::NoticeClass::Unspecified => None,
        pb::NoticeClass::Report => Some(NoticeClass::Report),
        pb::NoticeClass::Wish => Some(NoticeClass::Wish),
        pb::NoticeClass::Expiry => Some(NoticeClass::Expiry),
        pb::NoticeClass::Reversal => Some(NoticeClass::Reversal),
        pb::NoticeClass::Security => Some(NoticeClass::Security),
    }
}

fn encode_class(class: NoticeClass) -> i32 {
    let class = match class {
        NoticeClass::Report => pb::NoticeClass::Report,
        NoticeClass::Wish => pb::NoticeClass::Wish,
        NoticeClass::Expiry => pb::NoticeClass::Expiry,
        NoticeClass::Reversal => pb::NoticeClass::Reversal,
        NoticeClass::Security => pb::NoticeClass::Security,
    };
    class.into()
}

fn encode_preferences(
    community: Community,
    id: Uuid,
    muted: &[NoticeClass],
) -> pb::NoticePreferences {
    pb::NoticePreferences {
        name: format!("{}{PREFERENCES}", member::name(community, id)),
        muted_classes: muted.iter().map(|class| encode_class(*class)).collect(),
    }
}

fn encode(community: Community, notice: &Notice) -> pb::Notice {
    let whose = member::name(community, notice.member);
    pb::Notice {
        name: format!("{whose}/notices/{}", notice.id),
        class: encode_class(notice.class),
        subject: format!("communities/{}/{}", community.0, notice.subject),
        text_zh: notice.content.text_zh(),
        text_en: notice.content.text_en(),
        create_time: Some(runtime::timestamp(notice.created_at)),
        read_time: notice.read_at.map(runtime::timestamp),
        detail: encode_detail(community, &notice.content),
    }
}
