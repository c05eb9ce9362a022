-- Pandoc's tree of the page as calls of rapport.typ; what is not named here is left to pandoc.

local BLOCKS = { 'abstract', 'question', 'reply', 'banner', 'label', 'front', 'course',
  'title', 'byline', 'card', 'colophon' }
local MARKS = { 'number', 'marker', 'author', 'id' }

local function quoted(text) return '"' .. text:gsub('\\', '\\\\'):gsub('"', '\\"') .. '"' end

local function label(el)
  return el.identifier ~= '' and ' #std.label(' .. quoted(el.identifier) .. ')' or ''
end

local function content(blocks)
  local text = pandoc.write(pandoc.Pandoc(blocks), 'typst-smart', { wrap_text = 'none' })
  return '[' .. text:gsub('%s+$', '') .. ']'
end

local function named(el, names, make) -- #question[...], for the first of its classes that is named
  for _, name in ipairs(names) do
    if el.classes:includes(name) then
      el.content:insert(1, make('typst', '#' .. name .. '['))
      el.content:insert(make('typst', ']' .. label(el) .. ';'))
      return el.content
    end
  end
end

-- Texts of the cells of a table, one by one; written all at once, since each writing takes time.
local function texts(rows)
  local blocks, mark = pandoc.List(), '\u{1}'
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row.cells) do
      blocks:extend(cell.contents)
      blocks:insert(pandoc.RawBlock('typst', mark))
    end
  end
  return content(blocks):sub(2, -2):gmatch('%s*([^' .. mark .. ']-)%s*' .. mark)
end

-- Cells as head, foot, words or amount; notes for each column the longest piece that never breaks.
local function cells(rows, part, text, longest)
  local list = pandoc.List()
  for _, row in ipairs(rows) do
    local column = 1
    for _, cell in ipairs(row.cells) do
      local right = cell.classes:includes('num') or cell.alignment == 'AlignRight'
      local form = part or (right and 'amount' or 'words')
      local whole = pandoc.utils.stringify(cell.contents)
      for piece in whole:gmatch(form == 'amount' and '.+' or '[^ ]+') do
        local longer = utf8.len(piece) > utf8.len(longest[column] or '')
        if cell.col_span == 1 and longer then longest[column] = piece end
      end
      list:insert(('table.cell(colspan: %d, rowspan: %d, align: %s)[#%s[%s]]'):format(
        cell.col_span, cell.row_span, right and 'right' or 'left', form, text()))
      column = column + cell.col_span
    end
  end
  return table.concat(list, ', ')
end

function Table(el)
  local body, longest = pandoc.List(), {}
  for _, part in ipairs(el.bodies) do body:extend(part.body) end
  local text = texts(el.head.rows .. body .. el.foot.rows)
  local head = cells(el.head.rows, 'head', text, longest)
  if head ~= '' then head = 'table.hline(stroke: 0.9pt), table.header(' .. head .. '), table.hline(stroke: 0.5pt), ' end
  local rows = cells(body, nil, text, longest) .. ', table.hline(stroke: 0.9pt)'
  local foot = cells(el.foot.rows, 'foot', text, longest)
  if foot ~= '' then foot = ', table.footer(repeat: false, ' .. foot .. ')' end
  for column = 1, #el.colspecs do longest[column] = quoted(longest[column] or '') end
  return pandoc.RawBlock('typst', ('#sheet(%s, (%s,), %s%s%s)%s'):format(
    content(el.caption.long), table.concat(longest, ', '), head, rows, foot, label(el)))
end

function Image(el)
  return pandoc.RawInline('typst', ('#photo(%s, alt: %s, width: %s);'):format(quoted(el.src),
    quoted(pandoc.utils.stringify(el.caption)), el.attributes.width or 'auto'))
end

function Math(el)
  local formula = pandoc.write(pandoc.Pandoc { pandoc.Plain { el } }, 'typst'):gsub('%s+$', '')
  return pandoc.RawInline('typst', ('#math.equation(alt: %s, %s.body);'):format(quoted(el.text), formula))
end

function Figure(el)
  return pandoc.RawBlock('typst', ('#picture(%s, %s)%s'):format(
    content(el.caption.long), content(el.content), label(el)))
end

-- No float cuts a paragraph or an item; one that ends by a colon stays with what it announces.
local function whole(el)
  local text = pandoc.utils.stringify(el)
  if #text > 1500 then return el end -- a quarter of a page
  local sticky = text:match(':%s*$') and '(sticky: true)' or ''
  return { pandoc.RawBlock('typst', '#whole' .. sticky .. '['), pandoc.Para(el.content),
    pandoc.RawBlock('typst', ']') }
end

Para = whole
function BulletList(el) return el:walk { Plain = whole } end
OrderedList = BulletList

function Span(el) return named(el, MARKS, pandoc.RawInline) end

function Div(el)
  if el.classes:includes('table') then el.content:insert(pandoc.RawBlock('typst', label(el))) end
  return named(el, BLOCKS, pandoc.RawBlock) or el.content
end
